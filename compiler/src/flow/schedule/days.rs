//! The days of a schedule: `weekday`, `monday, thursday`, `month on last day`, `year on 24 december`.

use flow_grammar::span::Span;
use flow_grammar::syntax::{EveryKind, Ident, OnDay, Start};
use flow_plan::{Days, MonthDay};

use super::super::check::Checker;
use super::{WEEKDAYS, all_weekdays, each_day, units_text};
use crate::code::Code;

const MONTHS: &[&str] =
    &["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

/// The most days that each month can have.
const LENGTHS: &[u8] = &[31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// The days of the week that a unit names; 1 is Monday.
pub(super) fn named(unit: &str) -> Option<Vec<u8>> {
    match unit {
        "weekday" => Some((1..=5).collect()),
        "weekend" => Some(vec![6, 7]),
        _ => weekday(unit).map(|day| vec![day]),
    }
}

fn weekday(word: &str) -> Option<u8> {
    WEEKDAYS.iter().position(|day| *day == word).and_then(|at| u8::try_from(at + 1).ok())
}

fn month(word: &str) -> Option<u8> {
    MONTHS.iter().position(|month| *month == word).and_then(|at| u8::try_from(at + 1).ok())
}

/// A day of a month, and the month where it is named.
struct Named {
    month: Option<u8>,
    day: MonthDay,
}

impl<'a> Checker<'a> {
    /// The days of a rule.
    pub(super) fn days(&mut self, units: &[Ident], on: &[OnDay]) -> Option<Vec<Days>> {
        let unit = units.first()?;
        match unit.text.as_str() {
            "day" => {
                self.days_said_already(unit, on)?;
                Some(each_day())
            }
            "week" => self.days_of_week(unit, on),
            "month" => {
                if on.is_empty() {
                    self.which_day(unit, "month", &["month on 1", "month on last day"]);
                    return None;
                }
                let mut days = Vec::new();
                for entry in on {
                    let named = self.month_day(entry)?;
                    if named.month.is_some() {
                        let text = entry.span.text(self.frame.source).to_owned();
                        let diagnostic = self
                            .diagnostic(Code::E604, entry.span, format!("`{text}` comes once a year"))
                            .label("not in every month")
                            .help("a day of one month: `every year on …`")
                            .fix("`every year`", unit.span, "year", false);
                        self.report(diagnostic);
                        return None;
                    }
                    days.push(named.day);
                }
                Some(vec![Days::OfMonth { months: Vec::new(), days }])
            }
            "year" => {
                if on.is_empty() {
                    self.which_day(unit, "year", &["year on 1 january"]);
                    return None;
                }
                let mut days = Vec::new();
                for entry in on {
                    let named = self.month_day(entry)?;
                    let Some(month) = named.month else {
                        let text = entry.span.text(self.frame.source).to_owned();
                        let diagnostic = self
                            .diagnostic(Code::E604, entry.span, format!("`{text}` of which month?"))
                            .help("a day of a year has its month: `on 24 december`")
                            .fix(format!("`{text} january` (yours)"), entry.span, format!("{text} january"), false);
                        self.report(diagnostic);
                        return None;
                    };
                    days.push(Days::OfMonth { months: vec![month], days: vec![named.day] });
                }
                Some(days)
            }
            _ => {
                let days = all_weekdays(units)?;
                self.weekday_on(units, on)?;
                Some(vec![Days::Weekday(days)])
            }
        }
    }

    /// `every day on monday`.
    fn days_said_already(&mut self, unit: &Ident, on: &[OnDay]) -> Option<()> {
        let (Some(first), Some(last)) = (on.first(), on.last()) else { return Some(()) };
        let names: Option<Vec<&str>> = on
            .iter()
            .map(|entry| match entry.words.as_slice() {
                [only] if named(&only.text).is_some() => Some(only.text.as_str()),
                _ => None,
            })
            .collect();
        let span = first.span.to(last.span);
        let mut diagnostic = self.diagnostic(Code::E604, span, "`every day` is on each day").label("a day makes no sense here");
        diagnostic = match names {
            Some(names) => {
                let names = names.join(", ");
                diagnostic.help(format!("days of the week stand behind `every`: `every {names}`")).fix(
                    format!("`every {names}`"),
                    Span { start: unit.span.start, end: span.end },
                    names,
                    true,
                )
            }
            None => diagnostic.help("a day of the month is `every month on …`").fix("`every month`", unit.span, "month", false),
        };
        self.report(diagnostic);
        None
    }

    fn days_of_week(&mut self, unit: &Ident, on: &[OnDay]) -> Option<Vec<Days>> {
        if on.is_empty() {
            let diagnostic = self
                .diagnostic(Code::E604, unit.span, "on which day of the week?")
                .help("a week has its day: `every monday at 09:00`; `every 1 week` counts from when the flow is first live")
                .fix("`every monday` (yours)", unit.span, "monday", false);
            self.report(diagnostic);
            return None;
        }
        let mut days = Vec::new();
        for entry in on {
            match entry.words.as_slice() {
                [only] if named(&only.text).is_some() => days.extend(named(&only.text)?),
                _ => {
                    self.not_this_day(entry, "a week has days such as `monday`");
                    return None;
                }
            }
        }
        days.sort_unstable();
        days.dedup();
        Some(vec![Days::Weekday(days)])
    }

    /// `every monday on 15`: two rules in one.
    fn weekday_on(&mut self, units: &[Ident], on: &[OnDay]) -> Option<()> {
        let Some(entry) = on.first() else { return Some(()) };
        let unit = units.first()?;
        let text = entry.span.text(self.frame.source).to_owned();
        let mut diagnostic = self
            .diagnostic(Code::E604, entry.span, format!("`{}` and `on {text}`: which of them?", units_text(units)))
            .label("a day of the week and a day of the month")
            .also(unit.span, "the day of the week");
        let last = units.last().map_or(unit.span, |last| last.span);
        let whole = unit.span.to(last);
        if matches!(entry.words.as_slice(), [only] if matches!(only.text.as_str(), "first" | "second" | "third" | "fourth" | "fifth" | "last"))
            && units.len() == 1
        {
            let fixed = format!("month on {text} {}", unit.text);
            diagnostic = diagnostic.help("the n-th such day of a month").fix(
                format!("`every {fixed}`"),
                whole.to(entry.span),
                fixed,
                true,
            );
        } else {
            diagnostic = diagnostic
                .help("for both at once, take the day of the month and test the other: `where now.weekday is \"monday\"`")
                .fix("`every month`", whole, "month", false);
        }
        self.report(diagnostic);
        None
    }

    fn which_day(&mut self, unit: &Ident, of: &str, examples: &[&str]) {
        let mut diagnostic =
            self.diagnostic(Code::E604, unit.span, format!("on which day of the {of}?")).label("a time alone does not say it");
        diagnostic = diagnostic.help("the day stands behind `on`: a number, `last day`, `first monday`");
        // A day without a time would be the next mistake.
        let has_time = self.node.is_some_and(|node| match &node.start {
            Start::Every(every) => matches!(&every.kind, EveryKind::Calendar { at, .. } if !at.is_empty()),
            Start::When(_) => true,
        });
        let time = if has_time { "" } else { " at 09:00" };
        for example in examples {
            let text = format!("{example}{time}");
            diagnostic = diagnostic.fix(format!("`every {text}`"), unit.span, text, false);
        }
        self.report(diagnostic);
    }

    fn not_this_day(&mut self, entry: &OnDay, help: &str) {
        let text = entry.span.text(self.frame.source).to_owned();
        let diagnostic = self.diagnostic(Code::E604, entry.span, format!("`on {text}` is no such day")).help(help);
        self.report(diagnostic);
    }

    /// One entry behind `on`, of a month or a year.
    fn month_day(&mut self, entry: &OnDay) -> Option<Named> {
        let in_month = entry.words.iter().find_map(|word| month(&word.text));
        let rest: Vec<&str> = entry.words.iter().map(|word| word.text.as_str()).filter(|word| month(word).is_none()).collect();
        let months = entry.words.len() - rest.len();
        let nth = |word: &str| match word {
            "first" => Some(1),
            "second" => Some(2),
            "third" => Some(3),
            "fourth" => Some(4),
            "fifth" => Some(5),
            _ => None,
        };
        let day = match rest.as_slice() {
            [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                let longest = in_month.and_then(|month| LENGTHS.get(usize::from(month) - 1)).copied().unwrap_or(31);
                match number.parse::<u8>() {
                    Ok(day) if (1..=longest).contains(&day) => Some(MonthDay::Day(day)),
                    _ => {
                        let last = if number.parse::<u8>() == Ok(0) { "days count from 1" } else { "the last day is `last day`" };
                        let of = in_month.and_then(|month| MONTHS.get(usize::from(month) - 1)).copied();
                        let of = of.map_or_else(|| "a month".to_owned(), |name| name.to_owned());
                        let diagnostic = self
                            .diagnostic(Code::E604, entry.span, format!("{of} has no day {number}"))
                            .help(format!("{of} has {longest} days at most; {last}"));
                        self.report(diagnostic);
                        return None;
                    }
                }
            }
            ["last", "day" | "days"] => Some(MonthDay::Last),
            ["first", "day" | "days"] => Some(MonthDay::Day(1)),
            [word, "day"] => nth(word).map(MonthDay::Day),
            ["last", "weekday"] => Some(MonthDay::LastWeekday),
            ["first", "weekday"] => Some(MonthDay::FirstWeekday),
            ["last", name] => weekday(name).map(|weekday| MonthDay::LastNamed { weekday }),
            [word, name] => nth(word).and_then(|nth| Some(MonthDay::Nth { nth, weekday: weekday(name)? })),
            ["last"] => {
                let fixed = "last day";
                let diagnostic = self
                    .diagnostic(Code::E604, entry.span, "the last what?")
                    .help("`last day`, `last weekday`, or a day of the week such as `last friday`")
                    .fix(format!("`{fixed}`"), entry.span, fixed, false);
                self.report(diagnostic);
                return None;
            }
            _ => None,
        };
        match day {
            Some(day) if months <= 1 => Some(Named { month: in_month, day }),
            Some(_) | None => {
                if let [only] = rest.as_slice()
                    && weekday(only).is_some()
                {
                    let diagnostic = self
                        .diagnostic(Code::E604, entry.span, format!("which {only} of the month?"))
                        .help(format!("each one is `every {only}`; one of them is `first {only}` or `last {only}`"))
                        .fix(format!("`first {only}`"), entry.span, format!("first {only}"), false);
                    self.report(diagnostic);
                    return None;
                }
                self.not_this_day(
                    entry,
                    "a day is a number, `last day`, `first weekday`, `last weekday`, `first monday` to `fifth monday`, or `last monday`; of a year with its month, `24 december`",
                );
                None
            }
        }
    }
}
