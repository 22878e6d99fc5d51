//! The registry of diagnostic codes. Numbers are never reused, and a code without its page does not compile.

use crate::diagnostic::Severity;

macro_rules! codes {
    ($($code:ident $severity:ident $title:literal)*) => {
        /// A code: a family (1xx syntax, 2xx names, 3xx types and missing values, 4xx filling in, 5xx effects, 6xx time,
        /// 7xx rule set, 8xx security, 9xx the checker itself) and a number.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $code,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$code,)*];

            /// Returns the code as written: `E201`.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$code => stringify!($code),)* }
            }

            /// Returns what it stands for, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Code::$code => $title,)* }
            }

            /// Returns how bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Code::$code => Severity::$severity,)* }
            }

            /// Returns its page: meaning, why, a wrong and a right program.
            pub fn page(self) -> &'static str {
                match self { $(Code::$code => include_str!(concat!("../codes/", stringify!($code), ".md")),)* }
            }
        }
    };
}

// E190, a part of the language that did not work yet, is retired: nothing is left of it, and its number is not used again.
codes! {
    E100 Error "a file that cannot be read as text"
    E101 Error "text that is no flow, test or connector"
    E102 Error "something else is expected here"
    E103 Error "a text without its closing quote"
    E104 Error "an expression that is not finished"
    E105 Error "a bracket without its partner"
    E106 Error "brackets nested too deeply"
    E107 Error "a flow without `do`, or without an action"
    E108 Error "a habit of another language"
    E109 Error "a bad escape or `{…}` in a text"
    E110 Error "a reserved word used as a name"
    E111 Error "a number, time or duration that is not well written"
    E112 Error "a clause in the wrong place, or twice"
    E113 Error "`on error` that belongs to no single step"
    E114 Error "two comparisons in a row"
    E115 Error "a state that starts nothing by being so"
    E201 Error "a name that nothing in scope defines"
    E202 Error "two things of one name"
    W203 Warning "a local that hides a field or a connection"
    E204 Error "an option, input or setting that does not exist"
    E205 Error "an input or option given twice"
    E206 Error "a field that the triggers of a flow do not share"
    W207 Warning "a field that the service has given up"
    E301 Error "a value of another type than its place expects"
    E302 Error "a value that can be missing where one is needed"
    E303 Error "a comparison that may not be possible, in a place where that matters"
    E304 Error "an enum member that does not exist"
    E305 Error "a `match` that does not cover everything"
    E306 Error "a regular expression that is not valid"
    E307 Error "a result used where its call may have failed"
    E308 Error "`require` where nothing can be required"
    E309 Error "a loop without a bound, or with too many rounds"
    E310 Error "two different currencies"
    W311 Advice "an amount without a currency"
    E312 Error "more decimals than the currency has"
    W313 Warning "an amount that looks like cents"
    W314 Warning "a text that would never be equal: a slip, or in capitals"
    E315 Error "a pattern of `format` that is not valid"
    E316 Error "money where JSON is sent"
    E401 Error "an input that is required and not given"
    E402 Error "several values could fill in an input"
    W403 Advice "an event ends in the dead letters where a field is missing"
    W407 Warning "a call that will do less than it seems"
    E404 Error "what is filled in differs from flow.lock"
    E405 Error "a flow.lock that is missing, or that has other flows"
    E406 Error "a flow.lock that cannot be read"
    E408 Error "a call that would be refused"
    E501 Error "a retry of what cannot be repeated"
    E502 Error "a retry longer than the service remembers"
    E503 Error "an action where only a query or a value may stand"
    E504 Error "a dangerous action without a bound on the age of its event"
    E505 Error "an action or a trigger used as the other"
    E506 Error "a query where only a value may stand"
    W507 Warning "a failure that is told only after a day"
    E601 Error "a time zone that does not exist"
    W602 Warning "a scheduled time that the clock skips or shows twice"
    E603 Error "a time on the clocks of a place that is not named"
    E604 Error "a schedule that says too little, or what cannot be"
    E605 Error "a cron rule that cannot be read"
    E606 Error "sunrise or sunset of a place that is not named"
    E607 Error "`on clock change` where no clock is looked at"
    E609 Error "a wait without a bound"
    E701 Error "a condition that cannot hold"
    W702 Warning "two flows that do the same for one event"
    E703 Error "flows that start each other for ever"
    W704 Warning "a `once per` that another flow does not keep"
    E705 Error "polling that cannot do what is asked of it"
    W705 Warning "polls that leave few of the calls that there are"
    W706 Warning "a connection that no flow uses"
    W707 Warning "a step that cannot be reached"
    E801 Error "a text that looks like a live secret"
    E803 Error "personal data or a secret sent where it may not go"
    E805 Error "events that nobody vouches for"
    E810 Error "a flow.toml that is not well formed"
    E811 Error "a key in flow.toml that does not exist"
    E812 Error "a value in flow.toml of the wrong kind"
    E813 Error "a secret written into flow.toml"
    E814 Error "a connection of a connector that does not exist"
    E820 Error "a mistake in a connector"
    W901 Warning "an `# allow` that silences nothing"
    W902 Warning "an `# allow` without a reason"
}

impl Code {
    /// Returns the code for its text.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
