//! Seeds with changes: a fuzzer without an eye for what code was reached, which a stable compiler can build. The changes are
//! the same in each run.

/// Pieces that mean something in one of the languages at hand.
const PIECES: &[&str] = &[
    "when ",
    "every ",
    "where ",
    " do ",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\"",
    "\"\"\"",
    "'",
    "`",
    "#",
    "## ",
    "\n",
    " ",
    "\t",
    "é",
    "😀",
    "\u{FEFF}",
    "\u{301}",
    "..",
    ".",
    ",",
    ":",
    "|",
    "=>",
    "=",
    "==",
    "!",
    "&&",
    "||",
    "-",
    "+",
    "*",
    "/",
    "%",
    "not ",
    "and ",
    "or ",
    " is ",
    " in ",
    " else ",
    "if ",
    "match ",
    "let ",
    "for ",
    "true",
    "as x",
    " per day",
    "at most 1 time per customer",
    "wait ",
    "wait until ",
    "wait for ",
    " up to 3 days",
    " within 1 hour",
    "at 09:00",
    " in \"Europe/Paris\"",
    "100 USD",
    "1.000",
    "5_0",
    "0",
    "-1",
    "99999999999999999999999999999999",
    "1e400",
    "any(",
    "stop because \"x\"",
    "require ",
    "on error ",
    "retry 3 times",
    "test \"t\" ",
    "flow f ",
    "connector c ",
    "type ",
    "\\",
    "\\u",
    "{{",
    "\r\n",
    "\r",
    "\0",
    "??",
    "it.",
    "raw.",
    "event.",
    "now",
    "null",
    "\\ud83d",
    "every cron \"* * * * *\" ",
    "every month on last day at sunset - 15 minutes ",
    "missed skip",
    "# allow W203: a",
];

/// Numbers that are the same in each run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % most.max(1)
    }
}

/// A seed with one to four changes. Texts stay texts, as far as whole characters go.
pub(crate) fn mutated(seeds: &[Vec<u8>], dice: &mut Dice, text: bool) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(4) {
        let from = dice.below(bytes.len() + 1);
        let most = [2, 8, 40][dice.below(3)];
        let to = (from + dice.below(most)).min(bytes.len());
        match dice.below(if text { 5 } else { 7 }) {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let piece = bytes[from..to].to_vec();
                let at = dice.below(bytes.len() + 1);
                bytes.splice(at..at, piece);
            }
            2 | 3 => {
                let piece = PIECES[dice.below(PIECES.len())];
                let to = if dice.below(2) == 0 { to } else { from };
                bytes.splice(from..to, piece.bytes());
            }
            4 => {
                let other = &seeds[dice.below(seeds.len())];
                let begin = dice.below(other.len() + 1);
                let end = (begin + dice.below(80)).min(other.len());
                bytes.splice(from..to, other[begin..end].iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(from) {
                    *byte = u8::try_from(dice.below(256)).unwrap();
                }
            }
        }
    }
    if text { String::from_utf8_lossy(&bytes).into_owned().into_bytes() } else { bytes }
}
