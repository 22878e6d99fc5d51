//! The last sound version of each file, kept beside the store.
//!
//! A daemon that is started again while somebody is in the middle of an edit goes on with what was live before, as it
//! would have done without the restart.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};

/// Files and their texts.
pub(crate) type Texts = BTreeMap<Arc<str>, Arc<str>>;

/// What is kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// The sources.
    pub(crate) files: Texts,
    /// The name and text of flow.toml, where there was one.
    pub(crate) config: Option<(Arc<str>, Arc<str>)>,
}

const FILE: &str = "sound.json";
const VERSION: u64 = 1;

/// Reads what was kept; nothing where there is none, or where it cannot be read.
pub(crate) fn load(store: &Path) -> Kept {
    let Ok(bytes) = std::fs::read(store.join(FILE)) else { return Kept::default() };
    let Ok(json) = serde_json::from_slice::<Json>(&bytes) else { return Kept::default() };
    if json["version"].as_u64() != Some(VERSION) {
        return Kept::default();
    }
    let files = json["files"].as_object().into_iter().flatten();
    let files = files.filter_map(|(name, text)| Some((Arc::from(name.as_str()), Arc::from(text.as_str()?)))).collect();
    let config = json["config"]["name"].as_str().zip(json["config"]["text"].as_str());
    Kept { files, config: config.map(|(name, text)| (Arc::from(name), Arc::from(text))) }
}

/// Keeps the texts. Whoever reads the file sees all of it or none.
///
/// # Errors
/// Where the disk refuses; what was kept before stays.
pub(crate) fn save(store: &Path, kept: &Kept) -> std::io::Result<()> {
    let files: serde_json::Map<String, Json> =
        kept.files.iter().map(|(name, text)| (name.to_string(), Json::from(&**text))).collect();
    let mut document = json!({ "version": VERSION, "files": files });
    if let Some((name, text)) = &kept.config {
        document["config"] = json!({ "name": **name, "text": **text });
    }
    let beside = store.join(".sound.json");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(document.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, store.join(FILE))
}
