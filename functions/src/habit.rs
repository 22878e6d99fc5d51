//! What people who come from elsewhere look for, and what it is called here.

/// What to say about a name that is no function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Habit {
    /// It is this function, with the same values.
    Is(&'static str),
    /// It is something like this function; its values differ, and this is how.
    Like(&'static str, &'static str),
    /// It is written in this form, where `{0}` is the first value and so on, and which only fits so many values.
    Write(usize, &'static str, &'static str),
    /// There is none, and why.
    None(&'static str),
}

/// Returns what a name of another language, a spreadsheet or another service is here. Capitals do not count.
pub fn habit(name: &str) -> Option<Habit> {
    use Habit::{Is, Like, None as Without, Write};
    let plain: String = name.chars().filter(|letter| *letter != '_').flat_map(char::to_lowercase).collect();
    Some(match plain.as_str() {
        "len" | "size" | "strlen" | "charlength" => Is("length"),
        "lowercase" | "tolower" | "tolowercase" | "downcase" | "lcase" => Is("lower"),
        "uppercase" | "toupper" | "touppercase" | "upcase" | "ucase" => Is("upper"),
        "titlecase" | "title" | "proper" | "ucfirst" => Is("capitalize"),
        "strip" | "clean" | "chomp" => Is("trim"),
        "substitute" | "replaceall" | "gsub" | "strreplace" => Is("replace"),
        "explode" => Like("split", "the text stands before what parts it: `split(text, \",\")`"),
        "implode" | "textjoin" => Like("join", "the list stands before what is put between: `join(list, \", \")`"),
        "substr" | "substring" | "mid" => {
            Like("slice", "it takes two places, counted from 0, and not a length: `slice(text, 0, 4)`")
        }
        "left" => Write(2, "slice({0}, 0, {1})", "the first characters"),
        "right" => Write(2, "slice({0}, -({1}))", "the last characters"),
        "truncate" | "limit" | "shorten" | "abbreviate" => Is("cut"),
        "take" => Write(2, "slice({0}, 0, {1})", "the first items"),
        "skip" | "drop" => Write(2, "slice({0}, {1})", "what follows them"),
        "some" | "exists" | "anymatch" => Is("any"),
        "every" | "allmatch" => Is("all"),
        "countif" | "countwhere" => Is("count"),
        "where" | "select" | "reject" | "filterby" => {
            Like("filter", "the condition is about `it`: `filter(list, it.amount > 10 USD)`")
        }
        "collect" | "pluck" | "foreach" | "transform" => Like("map", "what it gives is about `it`: `map(list, it.name)`"),
        "find" | "firstwhere" | "detect" => Like("first", "the condition is about `it`: `first(list, it.status is \"open\")`"),
        "head" => Is("first"),
        "total" | "sumif" | "add" | "sumof" => Is("sum"),
        "avg" | "mean" => Is("average"),
        "minimum" | "least" | "smallest" => Is("min"),
        "maximum" | "greatest" | "largest" => Is("max"),
        "orderby" | "sorted" | "sortby" | "order" => Is("sort"),
        "distinct" | "uniq" | "dedupe" | "dedup" => Is("unique"),
        "rounddown" | "floor" | "trunc" => Is("round_down"),
        "roundup" | "ceil" | "ceiling" => Is("round_up"),
        "tofixed" | "numberformat" | "formatnumber" | "formatcurrency" => {
            Like("format", "the pattern shows the form: `format(amount, \"#,##0.00\")`")
        }
        "dateformat" | "formatdate" | "strftime" | "formatdatetime" | "date" => Like(
            "format",
            "the pattern shows the form: `format(created_at, \"YYYY-MM-DD\")`; the date of an instant is `date_of(created_at)`",
        ),
        "timestamp" | "asunix" | "epoch" | "totimestamp" | "unixtime" | "astimestamp" => Is("unix"),
        "toiso" | "isoformat" | "toisostring" => Is("iso"),
        "time" => Is("time_of"),
        "todate" | "datepart" => Is("date_of"),
        "datediff" | "daysuntil" | "dayssince" | "days" | "datedif" | "networkdays" => Is("days_between"),
        "dayofweek" | "dayname" | "isoweekday" => Is("weekday"),
        "hours" => Is("hour"),
        "minutes" => Is("minute"),
        "startofday" | "midnight" => Is("start_of_day"),
        "now" | "utcnow" | "currenttime" | "getdate" => Write(0, "now", "the instant itself is a value"),
        "today" | "currentdate" | "curdate" => Write(0, "date_of(now)", "the date of now"),
        "dateadd" | "addtime" | "adddays" | "addhours" | "timedelta" => Without("add a duration: `created_at + 3 hours`"),
        "sha256" | "sha" | "digest" => Is("hash"),
        "md5" | "sha1" => Like("hash", "SHA-256, since the older ones are broken"),
        "btoa" | "tobase64" | "base64encode" => Is("base64"),
        "urlencode" | "encodeuri" | "encodeuricomponent" | "encodeurl" | "urlquote" => Is("percent_encode"),
        "tojson" | "stringify" | "jsonencode" => Is("json"),
        "fromjson" | "jsondecode" | "jsonparse" => Is("parse_json"),
        "int" | "float" | "tonumber" | "value" | "parsefloat" | "parseint" | "val" | "decimal" | "asnumber" => Is("number"),
        "str" | "string" | "tostring" | "text" | "astext" => Write(1, "\"{{0}}\"", "a value in a text"),
        "concat" | "concatenate" | "append" => Write(2, "\"{{0}}{{1}}\"", "texts one after the other"),
        "contains" | "includes" | "search" | "instr" => Write(2, "{0} contains {1}", "whether a text or list has it in it"),
        "startswith" | "beginswith" => Write(2, "{0} starts with {1}", "how a text begins"),
        "endswith" => Write(2, "{0} ends with {1}", "how a text ends"),
        "matches" | "regex" | "regexmatch" | "test" => Write(2, "{0} matches {1}", "whether a regular expression fits"),
        "isempty" | "isblank" | "empty" => Write(1, "{0} is empty", "whether there is nothing in it"),
        "isnull" | "isnone" | "ismissing" => Write(1, "{0} is missing", "whether there is a value"),
        "isset" | "defined" | "isdefined" | "ispresent" | "hasvalue" => Write(1, "{0} is present", "whether there is a value"),
        "coalesce" | "ifnull" | "nvl" | "default" | "iferror" | "ifempty" => Write(2, "{0} else {1}", "a default"),
        "iif" | "ifelse" | "choose" | "switch" | "ternary" => {
            Without("values do not branch: use `if … { … } else { … }` or `match` around the steps, and `else` for a default")
        }
        "random" | "rand" | "randint" | "uuid" | "guid" | "uuid4" | "newguid" | "randbetween" => Without(
            "nothing is random, so that a condition has one answer and a repeated attempt does the same; \
             `run.id` is different for each run, and `hash(id)` spreads evenly",
        ),
        "sleep" | "delay" | "pause" => Without("waiting is a step: `wait 5 minutes`"),
        "print" | "log" | "echo" | "debug" => Without("each step with its values is in the run's log already"),
        "env" | "getenv" => Without("settings from outside stand in flow.toml"),
        "sqrt" | "pow" | "power" | "sin" | "cos" | "exp" | "ln" => Without("numbers are exact, and this one would not be"),
        "mod" | "modulo" => Without("there is no remainder; `n - round_down(n / 5) * 5` is that of a division by 5"),
        "lambda" | "reduce" | "fold" | "eval" => {
            Without("what is to be made of a list is `sum`, `count`, `any`, `all`, `filter`, `map`, `min`, `max` or `join`")
        }
        "convert" | "exchange" | "currencyconvert" => Without("Flow exchanges nothing by itself: rates change"),
        _ => return None,
    })
}
