//! `every cron "…"`: what is wrong in a cron rule, where it stands.

use flow_grammar::span::Span;
use flow_grammar::syntax::TextLit;
use flow_plan::Rule;
use flow_schedule::{Cron, CronError, CronMistake};

use super::super::check::Checker;
use crate::code::Code;
use crate::diagnostic::Diagnostic;

const FIELDS: &str =
    "the five fields are minute, hour, day of the month, month, day of the week: \"30 8 * * 1-5\" is 08:30 from Monday to Friday";

impl<'a> Checker<'a> {
    /// The rule of a cron text.
    pub(super) fn cron(&mut self, text: &TextLit) -> Option<Rule> {
        let Some(rule) = text.plain() else {
            let diagnostic = self
                .diagnostic(Code::E605, text.span, "a cron rule must be a plain text")
                .label("it is known before any event")
                .help(FIELDS);
            self.report(diagnostic);
            return None;
        };
        match Cron::parse(&rule) {
            // Blanks make no other rule.
            Ok(_) => Some(Rule::Cron(rule.split_whitespace().collect::<Vec<_>>().join(" "))),
            Err(error) => {
                let diagnostic = self.cron_mistake(text, &rule, &error);
                self.report(diagnostic);
                None
            }
        }
    }

    fn cron_mistake(&self, text: &TextLit, rule: &str, error: &CronError) -> Diagnostic {
        let inner = text.span.text(self.frame.source);
        // Without escapes and with single quotes the text is as long as its content.
        let span = match inner.get(1..inner.len().saturating_sub(1)) {
            Some(inside) if inside == rule => {
                let start = text.span.start as usize + 1;
                Span::new(start + error.at.start, start + error.at.end)
            }
            _ => text.span,
        };
        let whole = text.span;
        match &error.mistake {
            CronMistake::Fields(0) => self.diagnostic(Code::E605, whole, "this cron rule is empty").help(FIELDS),
            CronMistake::Fields(number) => {
                let fields: Vec<&str> = rule.split_whitespace().collect();
                let mut diagnostic = self
                    .diagnostic(Code::E605, whole, format!("a cron rule has five fields, and this one has {number}"))
                    .help(FIELDS);
                if *number == 6 || *number == 7 {
                    diagnostic = diagnostic.label("seconds, and years, are fields of other schedulers");
                    let five = fields
                        .get(1..6)
                        .map(|five| five.iter().map(|field| field.replace('?', "*")).collect::<Vec<_>>().join(" "));
                    if let Some(five) = five.filter(|five| Cron::parse(five).is_ok()) {
                        diagnostic =
                            diagnostic.fix(format!("`\"{five}\"`, without the seconds"), whole, format!("\"{five}\""), false);
                    }
                } else if *number < 5 {
                    let mut all = fields.clone();
                    all.resize(5, "*");
                    let all = all.join(" ");
                    if Cron::parse(&all).is_ok() {
                        diagnostic = diagnostic.fix(format!("`\"{all}\"`"), whole, format!("\"{all}\""), false);
                    }
                }
                diagnostic
            }
            CronMistake::Macro(word) if word.eq_ignore_ascii_case("@reboot") => self
                .diagnostic(Code::E605, span, "`@reboot` is no time")
                .help("a flow starts by the clock or with an event: the start of the daemon is neither"),
            CronMistake::Macro(word) => {
                let known = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];
                let mut diagnostic = self
                    .diagnostic(Code::E605, span, format!("there is no `{word}`"))
                    .help("there are @hourly, @daily, @weekly, @monthly and @yearly");
                if let Some(found) = crate::suggest::nearest(word, known) {
                    diagnostic = diagnostic.fix(format!("`{found}`"), span, found, true);
                }
                diagnostic
            }
            CronMistake::Word { word, field } => {
                let names = match *field {
                    "month" => "a number, a name such as `jan`, a range `1-3` or a step `*/2`",
                    "day of the week" => "a number (0 and 7 are Sunday), a name such as `mon`, or a range `1-5`",
                    _ => "a number, a range `8-18`, a list `0,30` or a step `*/10`",
                };
                self.diagnostic(Code::E605, span, format!("`{word}` is no {field}")).help(format!("here stands {names}"))
            }
            CronMistake::Range { number, field, low, high } => self
                .diagnostic(Code::E605, span, format!("there is no {field} {number}"))
                .label(format!("from {low} to {high}"))
                .help(FIELDS),
            CronMistake::Backwards { range, field } => {
                let around = range.split_once('-').map(|(low, high)| match *field {
                    "minute" => format!("{low}-59,0-{high}"),
                    "hour" => format!("{low}-23,0-{high}"),
                    "day of the month" => format!("{low}-31,1-{high}"),
                    "month" => format!("{low}-12,1-{high}"),
                    _ => format!("{low}-6,0-{high}"),
                });
                let mut diagnostic = self
                    .diagnostic(Code::E605, span, format!("the range `{range}` ends before it begins"))
                    .help("a range that goes over the end is two of them");
                let written = span.text(self.frame.source);
                if let Some(around) = around.filter(|_| written == range.as_str()) {
                    diagnostic = diagnostic.fix(format!("`{around}`"), span, around, true);
                }
                diagnostic
            }
            CronMistake::Step(field) => self
                .diagnostic(Code::E605, span, format!("a step of 0 never reaches another {field}"))
                .help("each one is `*`, every tenth `*/10`"),
            CronMistake::Foreign { sign, field } => {
                let help = match sign {
                    '?' => "`?` is a sign of another scheduler: here it is `*`",
                    'L' => "the last day is no part of cron here: `every month on last day at 18:00`",
                    'W' => "working days of a month are no part of cron here: `every month on first weekday at 09:00`",
                    _ => "the n-th day of the week is no part of cron here: `every month on first monday at 09:00`",
                };
                let mut diagnostic =
                    self.diagnostic(Code::E605, span, format!("`{sign}` means nothing in the field for the {field}")).help(help);
                if *sign == '?' && span.text(self.frame.source) == "?" {
                    diagnostic = diagnostic.fix("`*`", span, "*", true);
                }
                diagnostic
            }
            CronMistake::Never => self
                .diagnostic(Code::E605, span, "this day never comes")
                .label("no month has it")
                .help("the last day of each month is `every month on last day at 18:00`"),
        }
    }
}
