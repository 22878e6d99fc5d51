//! Structured logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::Log;

/// Sets the log up. A line that cannot be written (a full disk, a pipe that nobody reads) is lost and harms nothing else. `FLOWD_LOG` chooses the level (`info`), as `error`, `warn`, `info`, `debug` or a filter of tracing.
pub(crate) fn start(format: Log) {
    let filter = EnvFilter::try_from_env("FLOWD_LOG").unwrap_or_else(|_| EnvFilter::new("warn,flowd=info,flow_runtime=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let set = match format {
        Log::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Log::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    if set.is_err() {
        // It is set up already: there is a log, which is all that is wanted.
    }
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
