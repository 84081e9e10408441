//! Random command lines from the original's grammar: all spellings of its options, with good, borderline and bad
//! values. The same seed gives the same lines.

use crate::pools::{
    ALL, COMMANDS, Choice, NUMBER, OF_DAEMON, OF_LIST, OF_SERVER, OF_SERVICE, OF_TUNNEL, Pool, REAL_SERVER,
    SERVICES, STATES,
};

/// A small generator of random numbers (xorshift).
pub struct Random(u64);

impl Random {
    pub fn new(seed: usize) -> Self {
        let seed = u64::try_from(seed).unwrap_or_default();
        Self((seed ^ 0x9e37_79b9_7f4a_7c15).max(1))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() >> 16).unwrap_or_default() % limit
    }

    /// True in `percent` of 100 calls.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, pool: &[T]) -> T {
        *pool.get(self.below(pool.len())).expect("a pool is not empty")
    }
}

/// How many of 100 values are not good, and how many of 100 lines are invalid otherwise.
#[derive(Clone, Copy)]
pub struct Mood {
    pub bad: usize,
    pub odd: usize,
}

/// A command line without the name of the tool.
pub fn line(random: &mut Random, mood: Mood) -> Vec<String> {
    let mut words = command(random, mood);
    if random.chance(mood.odd) {
        match random.below(7) {
            0 => words.push(random.pick(&["foo", "-", "--", "-k", "--numeric=1", "-t"]).into()),
            1 => words.extend(words.last().cloned()),
            2 => drop(words.pop()),
            3 => words.insert(0, random.pick(&["foo", "-n", "--", "-L"]).into()),
            4 => words.push(random.pick(&["-A", "-L", "-D", "--set", "-S", "-h"]).into()),
            5 => words.rotate_left(1),
            _ => cluster(&mut words),
        }
    } else if random.chance(10) {
        cluster(&mut words);
    }
    words
}

/// Joins the first two words that are short options: `-L -n` as `-Ln`, `-A -t X` as `-At X`.
fn cluster(words: &mut Vec<String>) {
    let short = |word: &String| word.len() > 1 && word.starts_with('-') && !word.starts_with("--");
    if words.first().is_some_and(|word| short(word) && word.len() == 2) && words.get(1).is_some_and(short) {
        let second = words.remove(1);
        if let Some(first) = words.first_mut() {
            first.push_str(second.trim_start_matches('-'));
        }
    }
}

fn command(random: &mut Random, mood: Mood) -> Vec<String> {
    let mut options: Vec<Vec<String>> = Vec::new();
    let (short, long) = random.pick(COMMANDS);
    let first = if short.is_empty() || random.chance(15) { format!("--{long}") } else { format!("-{short}") };
    let mut after = Vec::new();
    match long {
        "set" => {
            let count = if random.chance(mood.odd) { 2 } else { 3 };
            after.extend((0..count).map(|_| value(random, &NUMBER, mood)));
        }
        "start-daemon" | "stop-daemon" => after.push(random.pick(STATES).into()),
        "list" | "zero" if random.chance(70) => {}
        "save" | "clear" => {}
        _ => options.push(service(random, mood)),
    }
    let fitting: &[Choice] = match long {
        "add-service" | "edit-service" => OF_SERVICE,
        "add-server" | "edit-server" => OF_SERVER,
        "list" => OF_LIST,
        "save" => OF_LIST.get(..1).unwrap_or_default(),
        "start-daemon" => OF_DAEMON,
        _ => &[],
    };
    if long.ends_with("-server") {
        options.push(spelled(random, REAL_SERVER, mood));
        if long != "delete-server" && random.chance(15) {
            options.push(vec!["-i".into()]);
            options.extend(several(random, OF_TUNNEL, mood));
        }
    }
    if !fitting.is_empty() {
        options.extend(several(random, fitting, mood));
    }
    if random.chance(mood.odd) {
        let any = random.pick(ALL);
        options.push(pick_one(random, any, mood));
    }
    if random.chance(mood.odd) && options.len() > 1 {
        let by = random.below(options.len());
        options.rotate_left(by);
    }
    [first].into_iter().chain(after).chain(options.into_iter().flatten()).collect()
}

fn service(random: &mut Random, mood: Mood) -> Vec<String> {
    let choice = random.pick(SERVICES);
    let mut words = spelled(random, choice, mood);
    if choice.0 == "f" && random.chance(40) {
        words.push(random.pick(&["-6", "--ipv6"]).into());
    }
    words
}

/// Up to three options, rarely the same twice.
fn several(random: &mut Random, choices: &[Choice], mood: Mood) -> Vec<Vec<String>> {
    let mut taken: Vec<&str> = Vec::new();
    let mut options = Vec::new();
    for _ in 0..random.below(4) {
        let choice = random.pick(choices);
        let name = match choice.1 {
            "masquerading" | "ipip" | "gatewaying" => "forwarding-method",
            name => name,
        };
        if !taken.contains(&name) || random.chance(mood.odd) {
            taken.push(name);
            options.push(spelled(random, choice, mood));
        }
    }
    options
}

fn pick_one(random: &mut Random, choices: &[Choice], mood: Mood) -> Vec<String> {
    let choice = random.pick(choices);
    spelled(random, choice, mood)
}

/// An option in one of its spellings.
fn spelled(random: &mut Random, (short, long, pool): Choice, mood: Mood) -> Vec<String> {
    let is_long = short.is_empty() || random.chance(20);
    let option = if is_long { format!("--{long}") } else { format!("-{short}") };
    let Some(pool) = pool else { return vec![option] };
    let value = value(random, pool, mood);
    match random.below(10) {
        0 | 1 if is_long => vec![format!("{option}={value}")],
        0 => vec![format!("{option}={value}")],
        1 => vec![option + &value],
        _ => vec![option, value],
    }
}

fn value(random: &mut Random, pool: &Pool, mood: Mood) -> String {
    let [good, edge, bad] = pool;
    let from = match random.below(100) {
        dice if dice < mood.bad / 2 => bad,
        dice if dice < mood.bad * 2 => edge,
        _ => good,
    };
    random.pick(from).into()
}

/// Input for `-R`: a few lines, in all the styles that people write.
pub fn input(random: &mut Random, lines: usize) -> Vec<u8> {
    let mut text = String::new();
    if random.chance(3) {
        text.push('\u{feff}');
    }
    for number in 1..=lines {
        let mood = if number == lines { Mood { bad: 10, odd: 5 } } else { Mood { bad: 4, odd: 1 } };
        let words: Vec<String> = line(random, mood).into_iter().filter(|word| !word.is_empty()).collect();
        match random.below(25) {
            0 => text += random.pick(&["# a comment\n", "  #x\n", "\n", "  \t\n"]),
            1 => text += "ipvsadm ",
            2 => text += "  ",
            _ => {}
        }
        text += &words.join(random.pick(&[" ", " ", " ", "  ", "\t", " \t "]));
        text += random.pick(&["\n", "\n", "\n", "\n", "\n", "\n", "\r\n", " \n"]);
    }
    if random.chance(8) {
        text.pop();
        text += random.pick(&["", " ", "  ", "\t\t"]);
    }
    text.into_bytes()
}
