//! Colours and signs. With `NO_COLOR` nothing is coloured, and where the locale is not UTF-8 the signs are ASCII; what
//! they say is said by text as well.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::bar;

/// What matters less.
pub(super) const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

/// What stands above others.
pub(super) const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);

/// The selected row.
pub(super) const SELECTED: Style = Style::new().add_modifier(Modifier::REVERSED);

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    has_colors: bool,
    pub(super) is_ascii: bool,
}

impl Theme {
    /// As the environment wants it.
    pub(super) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(variable);
        let locale = locale.map(|name| name.to_string_lossy().to_lowercase().replace('-', ""));
        let is_ascii = !locale.is_some_and(|name| name.contains("utf8"));
        Self { has_colors: variable("NO_COLOR").is_none(), is_ascii }
    }

    #[cfg(test)]
    pub(super) fn new(has_colors: bool, is_ascii: bool) -> Self {
        Self { has_colors, is_ascii }
    }

    fn colored(self, color: Color) -> Style {
        if self.has_colors { Style::new().fg(color) } else { Style::new() }
    }

    pub(super) fn heading(self) -> Style {
        self.colored(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    pub(super) fn new_one(self) -> Style {
        self.colored(Color::Green)
    }

    pub(super) fn edited(self) -> Style {
        self.colored(Color::Yellow)
    }

    pub(super) fn wrong(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn bar(self) -> Style {
        self.colored(Color::Blue)
    }

    /// The bars of a history.
    pub(super) fn bars(self) -> bar::Set {
        if !self.is_ascii {
            return bar::NINE_LEVELS;
        }
        let (low, middle, high) = (".", ":", "|");
        bar::Set {
            full: high,
            seven_eighths: high,
            three_quarters: high,
            five_eighths: middle,
            half: middle,
            three_eighths: middle,
            one_quarter: low,
            one_eighth: low,
            empty: " ",
        }
    }

    /// A bar for a share of `of`, in a number of characters.
    pub(super) fn share(self, part: u64, of: u64, width: usize) -> String {
        let eighths = part.saturating_mul(8).saturating_mul(u64::try_from(width).unwrap_or(0)) / of.max(1);
        let (whole, rest) = (usize::try_from(eighths / 8).unwrap_or(width).min(width), eighths % 8);
        let full = if self.is_ascii { "#" } else { "█" };
        let mut text = full.repeat(whole);
        let partial = ['\0', '▏', '▎', '▍', '▌', '▋', '▊', '▉'].get(usize::try_from(rest).unwrap_or(0));
        if whole < width && rest > 0 && !self.is_ascii {
            text.extend(partial);
        }
        text
    }

    /// An address that fits into a width. If it was cut, that is seen: a part of an address looks like another one. It is
    /// cut in the middle, because the port and the last digits tell neighbours apart.
    pub(super) fn cut(self, text: String, width: u16) -> String {
        let (length, width) = (text.chars().count(), usize::from(width));
        if length <= width {
            return text;
        }
        let end = width.saturating_sub(1) / 2;
        let start = text.chars().take(width.saturating_sub(1) - end);
        let middle = if self.is_ascii { '~' } else { '…' };
        start.chain([middle]).take(width).chain(text.chars().skip(length - end)).collect()
    }

    /// In front of a service whose servers are not shown, and of one whose servers are.
    pub(super) fn fold(self, is_folded: bool) -> char {
        match (self.is_ascii, is_folded) {
            (false, true) => '▸',
            (false, false) => '▾',
            (true, true) => '>',
            (true, false) => ' ',
        }
    }

    /// Between an old value and a new one.
    pub(super) fn arrow(self) -> &'static str {
        if self.is_ascii { ">" } else { "→" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_says_so() {
        for (text, width, cut) in
            [("abc", 3, "abc"), ("abcd", 3, "a…d"), ("", 0, ""), ("a", 0, ""), ("äöü", 2, "ä…")]
        {
            assert_eq!(Theme::new(true, false).cut(text.to_owned(), width), cut);
        }
        assert_eq!(Theme::new(true, true).cut("10.0.0.1:8080".to_owned(), 12), "10.0.0~:8080");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let theme = Theme::new(true, false);
        for (part, of, bar) in
            [(0, 0, ""), (0, 9, ""), (1, 1, "████"), (1, 2, "██"), (3, 8, "█▌"), (1, 32, "▏"), (1, 100, "")]
        {
            assert_eq!(theme.share(part, of, 4), bar, "{part} of {of}");
        }
        assert_eq!(Theme::new(true, true).share(3, 8, 4), "#");
    }
}
