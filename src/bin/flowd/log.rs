//! Structured logs: to the journal where systemd reads standard error, else to standard error itself.

mod journal;

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use self::journal::Journal;
use crate::args::Log;

/// Sets the log up. A line that cannot be written (a full disk, a pipe that nobody reads) is lost and harms nothing else. `FLOWD_LOG` chooses the level (`info`), as `error`, `warn`, `info`, `debug` or a filter of tracing.
pub(crate) fn start(format: Log) {
    let filter = EnvFilter::try_from_env("FLOWD_LOG").unwrap_or_else(|_| EnvFilter::new("warn,flowd=info,flow_runtime=info"));
    if matches!(format, Log::Human)
        && is_journal()
        && let Ok(journal) = Journal::connect()
    {
        if tracing_subscriber::registry().with(filter).with(journal).try_init().is_err() {
            // As below.
        }
        return;
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let set = match format {
        Log::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Log::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    if set.is_err() {
        // It is set up already: there is a log, which is all that is wanted.
    }
}

/// Tells whether standard error is a stream of the journal's, as systemd says with `$JOURNAL_STREAM`: then fields can be
/// handed over as fields. The variable alone says nothing, since it is inherited by whatever the service starts.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::io::stderr().as_fd().try_clone_to_owned() else { return false };
    let Ok(metadata) = std::fs::File::from(stderr).metadata() else { return false };
    stream == format!("{}:{}", metadata.dev(), metadata.ino())
}

/// As [`start`], with problems alone: the demo says the rest in its own words.
pub(crate) fn quiet(format: Log) {
    if std::env::var_os("FLOWD_LOG").is_some() {
        return start(format);
    }
    let builder =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new("off")).with_writer(std::io::stderr).log_internal_errors(false);
    if builder.try_init().is_err() {
        // As above.
    }
}
