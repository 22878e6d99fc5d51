//! A number or a time in a form of one's own.

use flow_plan::{Function, Value};

use crate::args::{Args, bounded};
use crate::pattern;
use crate::spec::{Example, Form, Gives, Kind, Param, Spec, Subject};

pub(crate) static SPEC: Spec = Spec {
    name: "format",
    subject: Subject::Text,
    form: Form::Call(Function::Format),
    params: &[
        Param::new("value", &[Kind::Number, Kind::Money, Kind::Date, Kind::Time, Kind::Instant]),
        Param::new("pattern", &[Kind::Pattern]),
        Param::zone(),
    ],
    items: &[],
    gives: Gives::Text,
    may_fail: false,
    keeps_personal: true,
    brief: "a number, money, date or time in the form of the pattern",
    docs: "For numbers and money the pattern shows the form: `0` is a digit that always stands there, `#` one that stands there where there is one. `0.00` has two decimals, `#,##0.00` a comma at each thousand, `#.##0,00` and `# ##0,00` are what other countries write. Rounding is half to even. `CCC` is the currency of money. What else stands before and behind is taken over: `0.0 °C`.\n\nFor dates and times these stand for the parts:\n\n| part | is | part | is |\n|---|---|---|---|\n| `YYYY` `YY` | 2026, 26 | `HH` `H` | 07, 7 (to 23) |\n| `MMMM` `MMM` | November, Nov | `hh` `h` | 07, 7 (to 12) |\n| `MM` `M` | 11, 11 (01, 1) | `mm` | minutes |\n| `DD` `D` | 26, 26 (05, 5) | `ss` `SSS` | seconds, milliseconds |\n| `dddd` `ddd` | Thursday, Thu | `am` `AM` | am or pm, AM or PM |\n| `Z` | +01:00 | `z` | CET |\n\nSmall `yyyy` and `dd` mean the same. `MM` is the month and `mm` the minutes. Words stand in single quotes: `\"dddd 'at' HH:mm\"`. An instant has no date and no time of day but in a zone: that of `in`, or the project's `timezone`.",
    examples: &[
        Example("format(1234567.5, \"#,##0.00\")", "\"1,234,567.50\""),
        Example("format(1234.5 EUR, \"#.##0,00 CCC\")", "\"1.234,50 EUR\""),
        Example("format(7, \"000\")", "\"007\""),
        Example("format(0.125, \"0.##\")", "\"0.12\""),
        Example("format(2026-11-26, \"D MMMM YYYY\")", "\"26 November 2026\""),
        Example("format(2026-11-26 18:30, \"dddd, h:mm am\", in: \"Europe/Paris\")", "\"Thursday, 6:30 pm\""),
        Example("format(09:05, \"HH'h'mm\")", "\"09h05\""),
    ],
};

pub(crate) fn call(args: Args<'_>) -> Option<Value> {
    let pattern = args.text(1)?;
    match args.value(0)? {
        Value::Number(number) => bounded(pattern::number::write(pattern, *number, None)?),
        Value::Money(money) => bounded(pattern::number::write(pattern, money.amount, Some(money.currency))?),
        Value::Date(date) => bounded(pattern::time::write(pattern, &pattern::time::Moment::Date(*date))?),
        Value::Time(time) => bounded(pattern::time::write(pattern, &pattern::time::Moment::Time(*time))?),
        Value::Instant(_) => bounded(pattern::time::write(pattern, &pattern::time::Moment::Local(args.local(0, 2)?))?),
        _ => None,
    }
}
