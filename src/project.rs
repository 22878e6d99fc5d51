//! A project on disk: its flow.toml, its `.flow` files, and how they are read within bounds.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow_compiler::config::{self, Config};
use flow_compiler::report::Sources;
use flow_compiler::{Code, Diagnostic};
use flow_grammar::span::Span;
use rayon::prelude::*;

use crate::secrets::reason;

/// The largest source: far beyond what people write, and small enough to be parsed in a second.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;
/// The most files of one project.
const MAX_FILES: usize = 20_000;
/// The deepest folder.
const MAX_DEPTH: usize = 32;

/// A project: a folder with its files, or a single file.
#[derive(Debug, Clone)]
pub struct Project {
    /// The folder that names are relative to.
    pub root: PathBuf,
    /// Its flow.toml.
    pub toml: Option<PathBuf>,
    /// The single file, where the project is one.
    pub single: Option<PathBuf>,
}

/// A file or folder that cannot be used at all: exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// It is not there or cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Unreadable {
        /// As it was given.
        path: String,
        /// In a person's words.
        reason: String,
    },
    /// It cannot be written.
    #[error("{path} cannot be written: {reason}")]
    Unwritable {
        /// Where.
        path: String,
        /// In a person's words.
        reason: String,
    },
    /// There is nothing in it to work on.
    #[error(
        "{0} has no .flow files: write one, for example\n\n    when stripe.charge_failed where amount > 100 do kustomer.create_conversation\n"
    )]
    NoFlows(String),
    /// More files than a project may have.
    #[error("{0} has more than {MAX_FILES} .flow files")]
    TooMany(String),
}

/// The texts of a project, and what is wrong with reading them.
#[derive(Debug, Default)]
pub struct Texts {
    /// Names (relative to the root, with `/`) and texts.
    pub files: Vec<(Arc<str>, Arc<str>)>,
    /// E100 for files that are no text or too large.
    pub diagnostics: Vec<Diagnostic>,
}

impl Project {
    /// Returns the project of a path: the nearest folder upwards that has a flow.toml, else the path itself.
    ///
    /// # Errors
    /// Where the path is not there.
    pub fn of(path: &Path) -> Result<Self, ProjectError> {
        let shown = path.display().to_string();
        let absolute =
            std::fs::canonicalize(path).map_err(|error| ProjectError::Unreadable { path: shown, reason: reason(&error) })?;
        let is_file = absolute.is_file();
        let folder = if is_file { absolute.parent().unwrap_or(Path::new("/")).to_path_buf() } else { absolute.clone() };
        let toml = folder.ancestors().map(|up| up.join("flow.toml")).find(|candidate| candidate.is_file());
        let root = toml.as_ref().and_then(|toml| toml.parent()).map_or(folder, Path::to_path_buf);
        let single = (is_file && toml.is_none()).then_some(absolute);
        Ok(Self { root, toml, single })
    }

    /// Returns the `.flow` files, sorted. Hidden folders, `target`, and links that lead out of the project are left out.
    ///
    /// # Errors
    /// Where a folder cannot be read or there are too many files.
    pub fn files(&self) -> Result<Vec<PathBuf>, ProjectError> {
        if let Some(single) = &self.single {
            return Ok(vec![single.clone()]);
        }
        let mut found = Vec::new();
        walk(&self.root, &self.root, 0, &mut found)?;
        if found.len() > MAX_FILES {
            return Err(ProjectError::TooMany(self.root.display().to_string()));
        }
        found.sort();
        Ok(found)
    }

    /// Returns the name of a file in reports, ids and plans: relative to the root, with `/`.
    pub fn name(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        relative.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    /// Reads the files in parallel.
    ///
    /// # Errors
    /// Where one cannot be read at all.
    pub fn read(&self, files: &[PathBuf]) -> Result<Texts, ProjectError> {
        let read: Vec<_> = files.par_iter().map(|path| (self.name(path), read_source(path))).collect();
        let mut texts = Texts::default();
        for (name, result) in read {
            let name: Arc<str> = Arc::from(name);
            match result {
                Ok(text) => texts.files.push((name, Arc::from(text))),
                Err(ReadError::Unreadable(reason)) => return Err(ProjectError::Unreadable { path: name.to_string(), reason }),
                Err(ReadError::Bad(message, help)) => {
                    texts.diagnostics.push(Diagnostic::new(Code::E100, &name, Span::default(), message).help(help));
                }
            }
        }
        Ok(texts)
    }

    /// Returns where flow.lock is, or would be.
    pub fn lock_path(&self) -> PathBuf {
        self.root.join(flow_compiler::lock::FILE)
    }

    /// Reads flow.lock; `None` without one.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn lock(&self) -> Result<Option<String>, ProjectError> {
        let path = self.lock_path();
        if !path.exists() {
            return Ok(None);
        }
        match read_source(&path) {
            Ok(text) => Ok(Some(text)),
            Err(ReadError::Unreadable(reason) | ReadError::Bad(reason, _)) => {
                Err(ProjectError::Unreadable { path: flow_compiler::lock::FILE.to_owned(), reason })
            }
        }
    }

    /// Takes up a flow.toml that came into the folder after it was opened. A single file stays a project by itself.
    pub fn find_toml(&mut self) {
        let path = self.root.join("flow.toml");
        if self.toml.is_none() && self.single.is_none() && path.is_file() {
            self.toml = Some(path);
        }
    }

    /// Reads flow.toml; without one, the defaults.
    ///
    /// # Errors
    /// Where it is there and cannot be read.
    pub fn config(&self, literal_secrets: bool) -> Result<Configured, ProjectError> {
        let Some(path) = &self.toml else { return Ok(Configured::default()) };
        let name: Arc<str> = Arc::from(self.name(path));
        let text = match read_source(path) {
            Ok(text) => text,
            Err(ReadError::Unreadable(reason)) => return Err(ProjectError::Unreadable { path: name.to_string(), reason }),
            Err(ReadError::Bad(message, help)) => {
                let diagnostic = Diagnostic::new(Code::E100, &name, Span::default(), message).help(help);
                return Ok(Configured { diagnostics: vec![diagnostic], ..Configured::default() });
            }
        };
        let (config, diagnostics) = config::read(&name, &text, literal_secrets);
        Ok(Configured { config, file: Some((name, Arc::from(text))), diagnostics })
    }
}

/// flow.toml, read.
#[derive(Debug, Default)]
pub struct Configured {
    /// What it says.
    pub config: Config,
    /// Its name and text.
    pub file: Option<(Arc<str>, Arc<str>)>,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

impl Configured {
    /// Adds its text, for reports.
    pub fn add_source(&self, sources: &mut Sources) {
        if let Some((name, text)) = &self.file {
            sources.insert(name.clone(), Arc::from(config::shown(text)));
        }
    }
}

/// Why a source cannot be used.
pub enum ReadError {
    /// The file cannot be read: wrong usage.
    Unreadable(String),
    /// The file was read and is no source: message and help.
    Bad(String, String),
}

/// Reads one source within bounds.
///
/// # Errors
/// See [`ReadError`].
pub fn read_source(path: &Path) -> Result<String, ReadError> {
    let metadata = std::fs::metadata(path).map_err(|error| ReadError::Unreadable(reason(&error)))?;
    if metadata.is_dir() {
        return Err(ReadError::Unreadable("it is a folder".to_owned()));
    }
    // A pipe or a device would be waited for, or never end.
    if !metadata.is_file() {
        return Err(ReadError::Unreadable("it is no file".to_owned()));
    }
    if metadata.len() > MAX_FILE {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| ReadError::Unreadable(reason(&error)))?;
    // It may grow while it is read.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| ReadError::Unreadable(reason(&error)))?;
    as_text(bytes)
}

/// How long a file must have been left alone before it is read: editors truncate first and write then.
const SETTLED: Duration = Duration::from_millis(10);
/// An empty file was probably just truncated, by somebody whom a busy machine may keep from writing for a while.
const SETTLED_EMPTY: Duration = Duration::from_millis(400);
/// How often a file that keeps changing is looked at before it is left for its next notice.
const LOOKS: u32 = 12;

/// Reads a source that somebody may be writing at this moment. `None` where it keeps changing: its next notice will come.
///
/// # Errors
/// See [`ReadError`].
pub fn read_settled(path: &Path) -> Option<Result<String, ReadError>> {
    for _ in 0..LOOKS {
        let Ok(before) = std::fs::metadata(path) else { return Some(read_source(path)) };
        let wanted = if before.len() == 0 { SETTLED_EMPTY } else { SETTLED };
        // A time in the future (a clock that was set, a copied file) says nothing about somebody writing now.
        let age = before.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or(wanted);
        if age < wanted {
            std::thread::sleep(wanted - age);
            continue;
        }
        let read = read_source(path);
        let unchanged = std::fs::metadata(path)
            .is_ok_and(|after| after.len() == before.len() && after.modified().ok() == before.modified().ok());
        if unchanged {
            return Some(read);
        }
    }
    None
}

/// Takes bytes as a source.
///
/// # Errors
/// Where they are too many or no UTF-8.
pub fn as_text(bytes: Vec<u8>) -> Result<String, ReadError> {
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large(bytes.len() as u64));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes().get(..at).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() + 1;
        let utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let help = if utf16 {
            "it looks like UTF-16: save it as UTF-8"
        } else {
            "save it as UTF-8; the first bad byte may be an accent from an older encoding"
        };
        ReadError::Bad(format!("the file is not UTF-8 text: line {line}, byte {}", at + 1), help.to_owned())
    })
}

fn too_large(bytes: u64) -> ReadError {
    ReadError::Bad(
        format!("the file is too large: {} MiB, and a .flow file has at most {} MiB", bytes / 1_048_576, MAX_FILE / 1_048_576),
        "is it a flow at all? Flows can be spread over any number of files".to_owned(),
    )
}

fn walk(root: &Path, folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), ProjectError> {
    if depth > MAX_DEPTH || found.len() > MAX_FILES {
        return Ok(());
    }
    let entries = std::fs::read_dir(folder)
        .map_err(|error| ProjectError::Unreadable { path: folder.display().to_string(), reason: reason(&error) })?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = entry.path();
        let Ok(mut kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            // A link inside the project is followed to a file, never to a folder: no cycles, nothing from outside.
            let inside = std::fs::canonicalize(&path).is_ok_and(|target| target.starts_with(root));
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if !inside || metadata.is_dir() {
                continue;
            }
            kind = metadata.file_type();
        }
        if kind.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                walk(root, &path, depth + 1, found)?;
            }
        } else if kind.is_file() && is_source(&path) {
            found.push(path);
        }
    }
    Ok(())
}

/// Tells whether a path is a source: `*.flow`, not hidden (editors keep their scratch files so).
pub fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "flow")
        && path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'))
}

/// Writes beside the file and renames, so that a full disk or a crash cannot leave half a file. A link stays one: what it leads
/// to is written. A file stays its owner's, with its rights.
///
/// # Errors
/// Where the disk refuses, or the file is for reading alone; what was there before stays.
pub fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    Whole::prepare(path, text)?.put()
}

/// A text that stands beside its file, to be put in its place.
pub struct Whole {
    path: PathBuf,
    beside: PathBuf,
}

impl Whole {
    /// Writes the text beside its file.
    ///
    /// # Errors
    /// Where the disk refuses, or the file is for reading alone.
    pub fn prepare(path: &Path, text: &str) -> std::io::Result<Self> {
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        let before = std::fs::metadata(&path).ok();
        let permissions = before.as_ref().map(std::fs::Metadata::permissions);
        if permissions.as_ref().is_some_and(std::fs::Permissions::readonly) {
            // Whoever may write into the folder could replace it all the same.
            return Err(std::io::Error::new(std::io::ErrorKind::ReadOnlyFilesystem, "it is for reading alone"));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.{}.flowc", std::process::id()));
        // From here on it is removed where it is not put in place.
        let whole = Self { path, beside };
        let mut file = std::fs::File::create(&whole.beside)?;
        permissions.map_or(Ok(()), |permissions| file.set_permissions(permissions))?;
        keep_owner(before.as_ref(), &file);
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
        Ok(whole)
    }

    /// Puts it in place of what was there.
    ///
    /// # Errors
    /// Where the disk refuses; what was there before stays.
    pub fn put(self) -> std::io::Result<()> {
        std::fs::rename(&self.beside, &self.path)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if std::fs::remove_file(&self.beside).is_err() {
            // It was put in place, or never made; else the error that matters is the first one.
        }
    }
}

/// Leaves a file to whom the one of before belonged, as far as that is possible.
fn keep_owner(before: Option<&std::fs::Metadata>, file: &std::fs::File) {
    use std::os::unix::fs::MetadataExt;
    let (Some(before), Ok(now)) = (before, file.metadata()) else { return };
    if (before.uid(), before.gid()) != (now.uid(), now.gid())
        && std::os::unix::fs::fchown(file, Some(before.uid()), Some(before.gid())).is_err()
    {
        // Only root can, and only root makes it another's.
    }
}

/// Returns the paths without those that lie inside others.
pub fn distinct(paths: &[PathBuf]) -> Vec<PathBuf> {
    paths.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::Project;

    #[test]
    fn a_flow_toml_that_comes_later_is_taken_up_and_a_single_file_stays_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("shop.flow");
        std::fs::write(&file, "").unwrap();
        let mut project = Project::of(folder.path()).unwrap();
        let mut single = Project::of(&file).unwrap();
        project.find_toml();
        assert_eq!(project.toml, None);
        std::fs::write(folder.path().join("flow.toml"), "").unwrap();
        project.find_toml();
        single.find_toml();
        assert_eq!(project.toml, Some(project.root.join("flow.toml")));
        assert_eq!(single.toml, None);
    }
}
