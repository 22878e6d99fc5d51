//! Changes of a project's files, gathered until an editor has finished.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

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
    watch_folder(&watcher, root, root, 0)?;
    let gatherer = Gatherer { root: root.to_path_buf(), watcher: Arc::downgrade(&watcher) };
    std::thread::Builder::new()
        .name("flowd-watch".into())
        .spawn(move || gatherer.run(&raw, &sender))
        .map_err(notify::Error::io)?;
    Ok((Watching { _watcher: watcher }, receiver))
}

/// The deepest folder that is watched; as deep as sources are looked for.
const MAX_DEPTH: usize = 32;

fn watch_folder(watcher: &Mutex<RecommendedWatcher>, root: &Path, folder: &Path, depth: usize) -> notify::Result<()> {
    watcher.lock().unwrap_or_else(PoisonError::into_inner).watch(folder, RecursiveMode::NonRecursive)?;
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if depth < MAX_DEPTH && matters(root, &entry.path()) {
            watch_folder(watcher, root, &entry.path(), depth + 1)?;
        }
    }
    Ok(())
}

struct Gatherer {
    root: PathBuf,
    watcher: Weak<Mutex<RecommendedWatcher>>,
}

impl Gatherer {
    fn run(&self, raw: &std::sync::mpsc::Receiver<notify::Result<Event>>, sender: &mpsc::UnboundedSender<Changed>) {
        while let Ok(first) = raw.recv() {
            let began = Instant::now();
            let mut paths = BTreeSet::new();
            let mut everything = !note(&self.root, first, &mut paths);
            if paths.is_empty() && !everything {
                continue;
            }
            while let Ok(next) = raw.recv_timeout(QUIET.min(PATIENCE.saturating_sub(began.elapsed()))) {
                everything |= !note(&self.root, next, &mut paths);
                if began.elapsed() >= PATIENCE {
                    break;
                }
            }
            everything |= self.take_in_folders(&paths);
            let changed = if everything { Changed::Everything } else { Changed::Paths(paths) };
            if sender.send(changed).is_err() {
                return;
            }
        }
    }

    /// Watches folders that came; returns whether any did, since what is in them was not seen coming.
    fn take_in_folders(&self, paths: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = self.watcher.upgrade() else { return false };
        let mut came = false;
        for folder in paths.iter().filter(|path| path.is_dir() && **path != self.root) {
            came = true;
            if let Err(error) = watch_folder(&watcher, &self.root, folder, 1) {
                tracing::warn!(%error, folder = %folder.display(), "this folder is not watched: reload with SIGHUP");
            }
        }
        came
    }
}

/// Notes the paths that matter; returns false where the system lost track.
fn note(root: &Path, event: notify::Result<Event>, paths: &mut BTreeSet<PathBuf>) -> bool {
    let Ok(event) = event else { return false };
    if event.need_rescan() {
        return false;
    }
    if matches!(event.kind, EventKind::Access(_)) {
        return true;
    }
    paths.extend(event.paths.into_iter().filter(|path| matters(root, path)));
    true
}

/// A source, flow.toml, or perhaps a folder: not the store, not what is hidden, not an editor's scratch file.
fn matters(root: &Path, path: &Path) -> bool {
    let inside = path.strip_prefix(root).unwrap_or(path);
    let left_out = |name: &str| name.starts_with('.') || name == "target" || name == "node_modules";
    if inside.components().any(|part| left_out(&part.as_os_str().to_string_lossy())) {
        return false;
    }
    flow::project::is_source(path)
        || path.file_name().is_some_and(|name| name == "flow.toml" || name == flow_compiler::lock::FILE)
        || path.is_dir()
        || path.extension().is_none()
}
