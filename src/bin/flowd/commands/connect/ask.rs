//! Questions to whoever sets a connection up: on a terminal, else a line of standard input for each.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flow::output;
use flow::terminal::printable;
use flow_runtime::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A line beyond this is no key and no setting.
const LONGEST: usize = 64 * 1024;
/// A terminal gives no longer line, and drops what is beyond.
const TERMINAL_LINE: usize = 4095;

/// What is being written is written to its end, whoever interrupts.
static WRITING: AtomicBool = AtomicBool::new(false);

/// Says that something is written from now on, until it is dropped.
pub(super) struct Writing;

impl Writing {
    pub(super) fn begin() -> Self {
        WRITING.store(true, Ordering::SeqCst);
        Self
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.store(false, Ordering::SeqCst);
    }
}

/// Who changes the terminal holds it, so that nobody silences it again while the program ends.
static TERMINAL: Mutex<()> = Mutex::new(());

/// The signals that end the program.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Listens from now on: what comes before it ends the program as it does any other.
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them and returns its number.
    async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.interrupt.recv() => 2,
            _ = self.terminate.recv() => 15,
            _ = self.hangup.recv() => 1,
        }
    }
}

/// Ends the program at a signal with the terminal as it was found: one that shows nothing would be left behind.
async fn end_at_a_signal(mut signals: Signals, before: Option<Termios>) {
    let number = signals.next().await;
    while WRITING.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let _held = TERMINAL.lock();
    if let Some(before) = before
        && tcsetattr(std::io::stdin(), OptionalActions::Now, &before).is_err()
    {
        // There is no terminal any more.
    }
    output::err("\ninterrupted");
    std::process::exit(128 + number);
}

/// Who is asked.
pub(crate) struct Asker {
    terminal: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// Standard input is at its end.
    #[error("standard input ended before `{0}`: it takes a line for each thing that is asked")]
    Ended(String),
    /// Standard input cannot be read.
    #[error("standard input cannot be read: {0}")]
    Unreadable(String),
}

impl Asker {
    pub(crate) fn new() -> Self {
        let terminal = std::io::stdin().is_terminal();
        let before = terminal.then(|| tcgetattr(std::io::stdin()).ok()).flatten();
        // Listened to before the first question: a key that is pressed at it must not find a program that listens to nothing yet.
        if let Ok(signals) = Signals::listen() {
            tokio::spawn(end_at_a_signal(signals, before));
        }
        Self { terminal }
    }

    /// Tells whether a person answers.
    pub(crate) fn is_person(&self) -> bool {
        self.terminal
    }

    /// Asks for something that may be shown. An empty answer is none.
    pub(super) fn ask(&self, name: &str, prompt: &str) -> Result<Option<String>, NoAnswer> {
        self.prompt(prompt);
        let line = self.read_line(name)?;
        if !self.terminal {
            self.end_line();
        }
        let line = without_surroundings(&line).to_owned();
        Ok((!line.is_empty()).then_some(line))
    }

    /// Asks for a secret, which a terminal does not show. An empty answer is none.
    pub(super) fn ask_secret(&self, name: &str, prompt: &str) -> Result<Option<Secret>, NoAnswer> {
        let line = {
            // Before anybody is asked, so that nothing that is typed is shown or lost.
            let _quiet = Quiet::begin(self.terminal);
            self.prompt(prompt);
            self.read_line(name)?
        };
        if !self.terminal {
            self.end_line();
        }
        let text = without_surroundings(&line);
        Ok((!text.is_empty()).then(|| Secret::new(text.to_owned())))
    }

    /// Asks a question whose answer is yes or no. Nobody there is a no.
    pub(crate) fn confirm(&self, question: &str) -> bool {
        if !self.terminal {
            return false;
        }
        self.prompt(&format!("{question} [y/N] "));
        self.read_line("the answer").is_ok_and(|line| matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    fn read_line(&self, name: &str) -> Result<String, NoAnswer> {
        let line = read_line(name)?;
        if self.terminal && line.len() >= TERMINAL_LINE {
            let reason =
                format!("a line of a terminal ends at {TERMINAL_LINE} bytes; `flowd connect … < FILE` takes longer ones");
            return Err(NoAnswer::Unreadable(reason));
        }
        Ok(line)
    }

    /// Prompts are no data: they go to standard error.
    fn prompt(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        if write!(stderr, "{}", printable_lines(text)).and_then(|()| stderr.flush()).is_err() {
            // Nobody reads them.
        }
    }

    fn end_line(&self) {
        self.prompt("\n");
    }
}

/// Returns a line without what comes along when something is copied: blanks, a line end, a mark of the byte order.
fn without_surroundings(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || is_invisible(c))
}

/// Characters that nobody sees and that no key has.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Line breaks are ours, everything else comes from a connector.
fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

fn read_line(name: &str) -> Result<String, NoAnswer> {
    let mut line = Vec::new();
    let mut stdin = std::io::stdin().lock();
    loop {
        let available = stdin.fill_buf().map_err(|error| NoAnswer::Unreadable(error.to_string()))?;
        if available.is_empty() {
            if line.is_empty() {
                return Err(NoAnswer::Ended(name.to_owned()));
            }
            break;
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(available.len(), |end| end + 1);
        line.extend_from_slice(available.get(..end.unwrap_or(available.len())).unwrap_or_default());
        stdin.consume(taken);
        if line.len() > LONGEST {
            return Err(NoAnswer::Unreadable("a line is longer than 64 KiB".to_owned()));
        }
        if end.is_some() {
            break;
        }
    }
    String::from_utf8(line).map_err(|_| NoAnswer::Unreadable("it is not UTF-8 text".to_owned()))
}

/// A terminal that shows nothing of what is typed, as long as this lives.
struct Quiet(Option<Termios>);

impl Quiet {
    fn begin(terminal: bool) -> Self {
        let before = terminal.then(|| tcgetattr(std::io::stdin()).ok()).flatten();
        if let Some(before) = &before {
            let mut quiet = before.clone();
            quiet.local_modes.remove(LocalModes::ECHO);
            quiet.local_modes.insert(LocalModes::ECHONL);
            let _held = TERMINAL.lock();
            if tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet).is_err() {
                return Self(None);
            }
        }
        Self(before)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = &self.0
            && tcsetattr(std::io::stdin(), OptionalActions::Now, before).is_err()
        {
            // There is no terminal any more.
        }
    }
}
