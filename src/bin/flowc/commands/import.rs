//! `flowc import`.

use std::io::{ErrorKind, IsTerminal, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use flow::output;
use flow::project::{ProjectError, write_whole};
use flow::secrets::reason;
use flow::terminal::printable;
use flow_import::{ImportError, Imported, MOST_BYTES, Options, Progress};

use crate::Exit;
use crate::args::{Import, ImportFrom, Openapi};

/// How many operations that were left out are named.
const MOST_NAMED: usize = 20;

pub(crate) fn run(args: &Import) -> Result<Exit, ProjectError> {
    match &args.from {
        ImportFrom::Openapi(args) => openapi(args),
    }
}

fn openapi(args: &Openapi) -> Result<Exit, ProjectError> {
    let name = printable(&args.spec.display().to_string());
    let text = read(&args.spec)?;
    if let Some(header) = &args.keyed_by
        && (header.is_empty() || !header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'))
    {
        return Ok(Exit::Usage(format!("`{}` is no name of a header", printable(header))));
    }
    let options = Options { name: args.name.clone(), only: args.only.clone(), keyed_by: args.keyed_by.clone() };
    let mut shown = Shown::default();
    let imported = flow_import::openapi_told(&text, &options, &mut |progress| shown.tell(progress));
    shown.clear();
    let imported = match imported {
        Ok(imported) => imported,
        Err(error @ (ImportError::Name(_) | ImportError::UnknownTag { .. })) => return Ok(Exit::Usage(error.to_string())),
        Err(
            error @ (ImportError::Unreadable { .. }
            | ImportError::TooLarge(_)
            | ImportError::NotOpenApi(_)
            | ImportError::Empty
            | ImportError::Bug(_)),
        ) => {
            output::err(&format!("{name}: {error}"));
            return Ok(Exit::Problems);
        }
    };
    match &args.out {
        None => output::out(&imported.source),
        Some(path) => {
            if let Some(problem) = write(path, &imported.source, args.force)? {
                return Ok(Exit::Usage(problem));
            }
        }
    }
    summarise(&imported, args);
    Ok(Exit::Well)
}

/// How far it is, on a terminal, where it takes so long that somebody asks himself.
struct Shown {
    begun: Instant,
    told: Option<Instant>,
    terminal: bool,
}

impl Default for Shown {
    fn default() -> Self {
        Self { begun: Instant::now(), told: None, terminal: std::io::stderr().is_terminal() }
    }
}

impl Shown {
    const AFTER: Duration = Duration::from_secs(1);
    const EVERY: Duration = Duration::from_millis(200);

    fn tell(&mut self, progress: Progress) {
        let now = Instant::now();
        let due = self.told.map_or(self.begun + Self::AFTER, |told| told + Self::EVERY);
        // What comes last takes long without another word.
        if !self.terminal || now < due && progress != Progress::Formatting {
            return;
        }
        self.told = Some(now);
        output::over(&match progress {
            Progress::Read => "the description is read".to_owned(),
            Progress::Operation(done, all) => format!("{done} of {all} operations"),
            Progress::Formatting => "writing the connector".to_owned(),
        });
    }

    fn clear(&self) {
        if self.told.is_some() {
            output::over("");
        }
    }
}

/// Reads the description. A larger one than is taken is read no further than that shows.
fn read(path: &Path) -> Result<String, ProjectError> {
    let unreadable = |reason: String| ProjectError::Unreadable { path: printable(&path.display().to_string()), reason };
    let most = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| unreadable(reason(&error)))?;
    String::from_utf8(bytes).map_err(|_| unreadable("it is no text in UTF-8; unpack or convert it first".to_owned()))
}

/// Writes the connector; returns what stands in the way.
fn write(path: &Path, source: &str, force: bool) -> Result<Option<String>, ProjectError> {
    let shown = printable(&path.display().to_string());
    let unwritable = |error: &std::io::Error| ProjectError::Unreadable { path: shown.clone(), reason: reason(error) };
    if force {
        write_whole(path, source).map_err(|error| unwritable(&error))?;
        return Ok(None);
    }
    match std::fs::File::options().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(source.as_bytes()).map(|()| None).map_err(|error| unwritable(&error)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Ok(Some(format!("{shown} is there already: --force overwrites it, with whatever was edited in it")))
        }
        Err(error) => Err(unwritable(&error)),
    }
}

fn summarise(imported: &Imported, args: &Openapi) {
    output::err(&format!("{} of {} operations imported", imported.imported, imported.total));
    for (operation, why) in imported.left_out.iter().take(MOST_NAMED) {
        output::err(&format!("  not imported: {operation}: {why}"));
    }
    if imported.left_out.len() > MOST_NAMED {
        output::err(&format!("  … and {} more: they stand in the connector as comments", imported.left_out.len() - MOST_NAMED));
    }
    for note in &imported.notes {
        output::err(&format!("  note: {note}"));
    }
    if let Some(path) = &args.out {
        let path = printable(&path.display().to_string());
        output::err(&format!("{path} written; `flowc check {path}` checks it, `flowc docs {}` shows it", args.name));
    }
}
