//! Numbers in at most six characters, so that a column need not grow.

const UNITS: [&str; 7] = ["K", "M", "G", "T", "P", "E", "Z"];

#[expect(clippy::cast_precision_loss, reason = "what is shown has fewer digits")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// A number of things.
pub(super) fn count(number: u64) -> String {
    if number < 100_000 { number.to_string() } else { shortened(float(number)) }
}

/// The word for so many services.
pub(super) fn services(count: usize) -> &'static str {
    if count == 1 { "service" } else { "services" }
}

/// A rate; `-` where none is known yet.
pub(super) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate < 9.95 && rate.fract() != 0.0 => format!("{rate:.1}"),
        Some(rate) if rate < 99_999.5 => format!("{rate:.0}"),
        Some(rate) => shortened(rate),
    }
}

/// Three digits and a unit of thousands.
fn shortened(number: f64) -> String {
    let mut number = number;
    let mut unit = "";
    for next in UNITS {
        if number < 999.5 {
            break;
        }
        (number, unit) = (number / 1000.0, next);
    }
    let digits = match number {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (number, text) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "100K"),
            (999_499, "999K"),
            (999_500, "1.00M"),
            (12_345_678, "12.3M"),
            (u64::MAX, "18.4E"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (None, "-"),
            (Some(0.0), "0"),
            (Some(0.04), "0.0"),
            (Some(0.5), "0.5"),
            (Some(3.0), "3"),
            (Some(9.96), "10"),
            (Some(12.5), "12"),
            (Some(99_999.4), "99999"),
            (Some(99_999.6), "100K"),
            (Some(1.8e19), "18.0E"),
        ] {
            assert_eq!(rate(number), text);
        }
    }
}
