//! Where a secret is kept that somebody typed: a file for its owner alone, or one that systemd encrypts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow_compiler::config::SecretRef;
use flow_runtime::secret::Secret;

/// The folder of the files, beside flow.toml.
pub(crate) const FOLDER: &str = "secrets";

/// How secrets are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeping {
    /// As they are, mode 600.
    File,
    /// Encrypted by systemd-creds, for LoadCredentialEncrypted.
    SystemdCreds,
}

/// Where a secret is going to be kept.
pub(super) struct Place {
    /// What flow.toml says.
    pub(super) reference: SecretRef,
    /// The file, relative to flow.toml.
    file: String,
}

impl Place {
    /// Returns the place for a secret of a connection. `before` is where it is read from so far: a file is written anew.
    pub(super) fn of(keeping: Keeping, connection: &str, key: &str, before: Option<&SecretRef>) -> Self {
        let name = format!("{connection}_{key}");
        match (keeping, before) {
            (Keeping::File, Some(SecretRef::File(path))) => Self { reference: SecretRef::File(path.clone()), file: path.clone() },
            (Keeping::File, _) => {
                let file = format!("{FOLDER}/{name}");
                Self { reference: SecretRef::File(file.clone()), file }
            }
            (Keeping::SystemdCreds, _) => Self { file: format!("{FOLDER}/{name}.cred"), reference: SecretRef::Credential(name) },
        }
    }

    /// Returns the file, where it is not there yet.
    pub(super) fn new_file(&self, root: &Path) -> Option<PathBuf> {
        Some(root.join(&self.file)).filter(|file| !file.exists())
    }

    /// Keeps the secret. Returns what was done, a line each.
    pub(super) fn keep(&self, root: &Path, secret: &Secret) -> Result<Vec<String>, String> {
        let path = root.join(&self.file);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let SecretRef::Credential(name) = &self.reference else {
            write(&path, secret.expose().as_bytes()).map_err(failed)?;
            hand_over(&path, root);
            return Ok(vec![format!("{} has the secret, for its owner alone", self.file)]);
        };
        write(&path, &encrypt(name, secret)?).map_err(failed)?;
        Ok(vec![
            format!("{} has the secret, encrypted for this machine", self.file),
            format!(
                "flowd's unit has to load it: `systemctl edit flowd`, in [Service] LoadCredentialEncrypted={name}:{}",
                path.display()
            ),
        ])
    }
}

/// Gives a file and its folder to whom the project belongs: what root writes for somebody else they have to be able to read.
fn hand_over(file: &Path, root: &Path) {
    let Ok(owner) = fs::metadata(root) else { return };
    let folder = file.parent().filter(|folder| folder.file_name().is_some_and(|name| name == FOLDER));
    for path in folder.into_iter().chain([file]) {
        let foreign = fs::metadata(path).is_ok_and(|now| now.uid() != owner.uid());
        if foreign && std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).is_err() {
            // Only root can, and `flowd check-config` says who may read it.
        }
    }
}

/// Writes a file of mode 600: whoever reads it sees all of it or what was there before.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    if !folder.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if folder.file_name().is_some_and(|name| name == FOLDER) {
        // Nobody else needs to look into it, and nobody should commit it.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
        let ignore = folder.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut new| new.write_all(bytes).and_then(|()| new.sync_all()))
        .and_then(|()| fs::rename(&beside, file))
        .and_then(|()| fs::File::open(folder)?.sync_all());
    if written.is_err() && fs::remove_file(&beside).is_err() {
        // The error that matters is the first one.
    }
    written
}

/// Has systemd encrypt a secret for this machine.
fn encrypt(name: &str, secret: &Secret) -> Result<Vec<u8>, String> {
    let failed = |reason: &str| format!("systemd-creds cannot encrypt it: {reason}; without --systemd-creds it goes into a file");
    let child = Command::new("systemd-creds")
        .args(["encrypt", &format!("--name={name}"), "-", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(failed("it is not installed")),
        Err(error) => return Err(failed(&error.to_string())),
    };
    let given = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(secret.expose().as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(&error.to_string()))?;
    if output.status.success() && given.is_ok() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().last().unwrap_or("it gave no reason").trim()))
}
