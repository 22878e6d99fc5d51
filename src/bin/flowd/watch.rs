//! Changes of a project's files, gathered until an editor has finished.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Editors write in several steps (truncate, write, rename): a change is taken up once it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(12);
/// And at the latest after this, whatever still changes.
const PATIENCE: Duration = Duration::from_millis(80);

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// These paths.
    Paths(BTreeSet<PathBuf>),
    /// It is not known what: everything is to be read.
    Everything,
}

/// Keeps the watches; they end when it is dropped.
pub(crate) struct Watching {
    _watcher: Arc<Mutex<RecommendedWatcher>>,
    files: Files,
}

impl Watching {
    /// Says which files count beside the sources: those that secrets are read from.
    pub(crate) fn and(&self, files: BTreeSet<PathBuf>) {
        *locked(&self.files) = files;
    }
}

type Files = Arc<Mutex<BTreeSet<PathBuf>>>;

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches the folders of `root` that can hold sources: each by itself, since a watch over everything would wake with
/// each write to a store that lies in the project.
///
/// # Errors
/// Where the system cannot watch: too many watches, no such folder.
pub(crate) fn watch(root: &Path) -> notify::Result<(Watching, mpsc::UnboundedReceiver<Changed>)> {
    let (raw_sender, raw) = std::sync::mpsc::channel::<notify::Result<Event>>();
    let (sender, receiver) = mpsc::unbounded_channel();
    let watcher = notify::recommended_watcher(move |event| {
        // Without a receiver the daemon is stopping.
        drop(raw_sender.send(event));
    })?;
    let watcher = Arc::new(Mutex::new(watcher));
    let files = Files::default();
    let mut gatherer = Gatherer {
        root: root.to_path_buf(),
        watcher: Arc::downgrade(&watcher),
        files: Arc::clone(&files),
        folders: BTreeSet::new(),
        with_sources: BTreeSet::new(),
    };
    gatherer.watch_folder(&watcher, root, 0, &mut BTreeSet::new())?;
    std::thread::Builder::new()
        .name("flowd-watch".into())
        .spawn(move || gatherer.run(&raw, &sender))
        .map_err(notify::Error::io)?;
    Ok((Watching { _watcher: watcher, files }, receiver))
}

/// The deepest folder that is watched; as deep as sources are looked for.
const MAX_DEPTH: usize = 32;

/// Takes notices in and tells of what matters: nothing else that is written in the project causes a reload, such as a log.
struct Gatherer {
    root: PathBuf,
    watcher: Weak<Mutex<RecommendedWatcher>>,
    files: Files,
    /// The folders that are watched.
    folders: BTreeSet<PathBuf>,
    /// Those in which there is or was a source, however deep.
    with_sources: BTreeSet<PathBuf>,
}

/// What some notices say.
#[derive(Default)]
struct Noted {
    paths: BTreeSet<PathBuf>,
    /// Folders that came.
    folders: BTreeSet<PathBuf>,
    /// It is not known what changed.
    everything: bool,
}

impl Gatherer {
    fn run(mut self, raw: &std::sync::mpsc::Receiver<notify::Result<Event>>, sender: &mpsc::UnboundedSender<Changed>) {
        while let Ok(first) = raw.recv() {
            let began = Instant::now();
            let mut noted = Noted::default();
            self.note(first, &mut noted);
            if noted.paths.is_empty() && noted.folders.is_empty() && !noted.everything {
                continue;
            }
            while let Ok(next) = raw.recv_timeout(QUIET.min(PATIENCE.saturating_sub(began.elapsed()))) {
                self.note(next, &mut noted);
                if began.elapsed() >= PATIENCE {
                    break;
                }
            }
            self.take_in_folders(&mut noted);
            let changed = match noted {
                Noted { everything: true, .. } => Changed::Everything,
                Noted { paths, .. } if paths.is_empty() => continue,
                Noted { paths, .. } => Changed::Paths(paths),
            };
            if sender.send(changed).is_err() {
                return;
            }
        }
    }

    /// Watches folders that came: what is in them was not seen coming.
    fn take_in_folders(&mut self, noted: &mut Noted) {
        let Some(watcher) = self.watcher.upgrade() else { return };
        for folder in std::mem::take(&mut noted.folders).iter().filter(|path| path.is_dir()) {
            if let Err(error) = self.watch_folder(&watcher, folder, 1, &mut noted.paths) {
                tracing::warn!(%error, folder = %folder.display(), "this folder is not watched: reload with SIGHUP");
            }
        }
    }

    /// Watches a folder with those in it, and finds the files in them that matter.
    fn watch_folder(
        &mut self,
        watcher: &Mutex<RecommendedWatcher>,
        folder: &Path,
        depth: usize,
        found: &mut BTreeSet<PathBuf>,
    ) -> notify::Result<()> {
        locked(watcher).watch(folder, RecursiveMode::NonRecursive)?;
        self.folders.insert(folder.to_path_buf());
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if depth < MAX_DEPTH && !self.is_left_out(&path) {
                    self.watch_folder(watcher, &path, depth + 1, found)?;
                }
            } else if self.matters(&path) {
                self.remember(&path);
                found.insert(path);
            }
        }
        Ok(())
    }

    /// Notes what matters of a notice, and where the system lost track.
    fn note(&mut self, event: notify::Result<Event>, noted: &mut Noted) {
        let Ok(event) = event else {
            noted.everything = true;
            return;
        };
        noted.everything |= event.need_rescan();
        if matches!(event.kind, EventKind::Access(_)) {
            return;
        }
        // A folder is news when it comes, not when somebody changes who may read it.
        let comes = !matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
        for path in event.paths {
            if self.matters(&path) {
                self.remember(&path);
                noted.paths.insert(path);
            } else if self.is_left_out(&path) || path == self.root {
                // The store, what is hidden, an editor's scratch file.
            } else if path.is_dir() {
                if comes {
                    noted.folders.insert(path);
                }
            } else if self.folders.contains(&path) {
                // It is gone, and so is what was in it.
                noted.everything |= self.with_sources.contains(&path);
                self.folders.retain(|folder| !folder.starts_with(&path));
                self.with_sources.retain(|folder| !folder.starts_with(&path));
            }
        }
    }

    fn remember(&mut self, path: &Path) {
        let folders = path.ancestors().skip(1).take_while(|folder| **folder != self.root);
        self.with_sources.extend(folders.map(Path::to_path_buf));
    }

    /// A source, flow.toml, flow.lock, or a file that a secret is read from.
    fn matters(&self, path: &Path) -> bool {
        if locked(&self.files).contains(path) {
            return true;
        }
        let by_name = |name: &std::ffi::OsStr| name == "flow.toml" || name == flow_compiler::lock::FILE;
        let is_file = flow::project::is_source(path) || path.file_name().is_some_and(by_name);
        is_file && !self.is_left_out(path) && !path.is_dir()
    }

    /// Folders in which no sources are looked for.
    fn is_left_out(&self, path: &Path) -> bool {
        let inside = path.strip_prefix(&self.root).unwrap_or(path);
        let left_out = |name: &str| name.starts_with('.') || name == "target" || name == "node_modules";
        inside.components().any(|part| left_out(&part.as_os_str().to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir, remove_dir_all, remove_file, rename, write};

    use super::*;

    /// What was told, and may be told once more: on a busy machine a file is seen when it is made and again when it is full.
    struct Told {
        receiver: mpsc::UnboundedReceiver<Changed>,
        known: BTreeSet<PathBuf>,
        everything: bool,
    }

    impl Told {
        /// Waits until this is told, before anything but what is known.
        fn has(&mut self, path: &Path) {
            self.known.insert(path.to_owned());
            loop {
                match self.receiver.blocking_recv().unwrap() {
                    Changed::Paths(paths) => {
                        assert!(paths.is_subset(&self.known), "{paths:?}");
                        if paths.contains(path) {
                            return;
                        }
                    }
                    Changed::Everything => assert!(self.everything, "it is known what has changed"),
                }
            }
        }

        /// Waits until it is told that all is to be read, before anything but what is known.
        fn has_everything(&mut self) {
            self.everything = true;
            while let Changed::Paths(paths) = self.receiver.blocking_recv().unwrap() {
                assert!(paths.is_subset(&self.known), "{paths:?}");
            }
        }
    }

    /// What comes next is about a file that is written last: whatever was told before that would have come first.
    #[test]
    fn only_what_a_project_is_made_of_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(folder.path()).unwrap();
        create_dir(root.join("more")).unwrap();
        write(root.join("more/m.flow"), "").unwrap();
        write(root.join("log"), "").unwrap();
        let (watching, receiver) = watch(&root).unwrap();
        let mut told = Told { receiver, known: BTreeSet::new(), everything: false };
        watching.and(BTreeSet::from([root.join("key")]));
        for number in 0..20 {
            write(root.join("log"), format!("line {number}")).unwrap();
            write(root.join("a.flow~"), "").unwrap();
            write(root.join("more/LICENSE"), "").unwrap();
            create_dir(root.join(format!("tmp.{number}"))).unwrap();
            write(root.join(format!("tmp.{number}/x")), "").unwrap();
            remove_dir_all(root.join(format!("tmp.{number}"))).unwrap();
        }
        remove_file(root.join("log")).unwrap();
        write(root.join("a.flow"), "x").unwrap();
        told.has(&root.join("a.flow"));
        write(root.join("key"), "x").unwrap();
        told.has(&root.join("key"));
        // A folder comes with what is in it, and goes with it.
        let beside = tempfile::tempdir_in(root.parent().unwrap()).unwrap();
        create_dir(beside.path().join("new")).unwrap();
        write(beside.path().join("new/n.flow"), "").unwrap();
        rename(beside.path().join("new"), root.join("new")).unwrap();
        told.has(&root.join("new/n.flow"));
        rename(root.join("more"), beside.path().join("old")).unwrap();
        told.has_everything();
        write(root.join("new/flow.toml"), "").unwrap();
        told.has(&root.join("new/flow.toml"));
    }
}
