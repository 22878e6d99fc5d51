//! `while running skip|queue|restart`.

use flow_grammar::syntax::Ident;
use flow_plan::WhileRunning;

use super::super::check::Checker;
use super::word::Choice;

const WORDS: &[Choice<WhileRunning>] = &[
    Choice {
        word: "skip",
        means: WhileRunning::Skip,
        also: &["ignore", "drop", "single", "discard", "nothing"],
        docs: "the event does not start the flow",
    },
    Choice {
        word: "queue",
        means: WhileRunning::Queue,
        also: &["wait", "queued", "delay", "enqueue"],
        docs: "the event waits until the run has ended",
    },
    Choice {
        word: "restart",
        means: WhileRunning::Restart,
        also: &["replace", "cancel", "reset", "restarted"],
        docs: "the run is cancelled, and a new one begins",
    },
];

impl<'a> Checker<'a> {
    pub(super) fn while_running(&mut self, word: &Ident) -> Option<WhileRunning> {
        if matches!(word.text.as_str(), "parallel" | "concurrent" | "allow") {
            let diagnostic = self
                .diagnostic(crate::code::Code::E102, word.span, format!("`while running {}` is what happens anyway", word.text))
                .help("without this clause the runs of a flow stand side by side: take it out");
            self.report(diagnostic);
            return None;
        }
        self.word(word, "while running", WORDS)
    }
}
