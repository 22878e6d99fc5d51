//! Where a secret is kept that somebody typed: a file for its owner alone, or one that systemd encrypts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flow::secrets::reason;
use flow::terminal::printable;
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

    /// Writes the secret beside its place, so that all that is written can be put in place at once.
    pub(super) fn prepare(&self, root: &Path, secret: &Secret, made: &mut Made) -> Result<Prepared, String> {
        let path = root.join(&self.file);
        let failed = |error: Refusal| format!("{} cannot be written: {error}", printable(&self.file));
        let SecretRef::Credential(name) = &self.reference else {
            let beside = write(root, &path, secret.expose().as_bytes(), made).map_err(failed)?;
            let told = vec![format!("{} has the secret, for its owner alone", self.file)];
            return Ok(Prepared { file: path, beside, told });
        };
        let beside = write(root, &path, &encrypt(name, secret)?, made).map_err(failed)?;
        let told = vec![
            format!("{} has the secret, encrypted for this machine", self.file),
            format!(
                "flowd's unit has to load it: `systemctl edit flowd`, in [Service] LoadCredentialEncrypted={name}:{}",
                path.display()
            ),
        ];
        Ok(Prepared { file: path, beside, told })
    }
}

/// A secret beside its place.
pub(super) struct Prepared {
    file: PathBuf,
    beside: PathBuf,
    told: Vec<String>,
}

impl Prepared {
    /// Puts it in place: whoever reads the file sees all of it or what was there before. Returns what was done, a line each.
    pub(super) fn put(self, made: &mut Made) -> Result<Vec<String>, String> {
        if !self.file.exists() {
            made.0.push(self.file.clone());
        }
        let folder = folder_of(&self.file);
        let put = fs::rename(&self.beside, &self.file).and_then(|()| fs::File::open(folder)?.sync_all());
        put.map_err(|error| format!("{} cannot be written: {}", self.file.display(), reason(&error)))?;
        Ok(self.told)
    }
}

/// What was made on the way, in this order: files and folders that were not there.
#[derive(Default)]
pub(super) struct Made(Vec<PathBuf>);

impl Made {
    /// Takes it away again, since something else could not be written.
    pub(super) fn undo(self) {
        for path in self.0.into_iter().rev() {
            let removed = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
            if removed.is_err() {
                // It was not made, or was put in place, or holds what others have put there.
            }
        }
    }
}

/// Why a secret is not written.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{}", reason(.0))]
    Io(#[from] std::io::Error),
    #[error("{0} is no folder")]
    NoFolder(String),
    #[error("{0} leads to {1}, which belongs to another user than the project: make it a folder, or a link to one of your own")]
    LeadsAway(String, String),
    #[error("{0} belongs to another user, who could put another key there: `chown` it, or remove it")]
    NotOurs(String),
    #[error("it is a link to {0}: change the secret there, or remove the link")]
    Link(String),
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("."))
}

/// Makes the folder of a secret what it has to be: nobody else needs to look into it, and nobody should commit it.
fn ready(root: &Path, folder: &Path, made: &mut Made) -> Result<(), Refusal> {
    let shown = || printable(&folder.strip_prefix(root).unwrap_or(folder).to_string_lossy());
    let is_link = folder.is_symlink();
    if !folder.exists() && !is_link {
        let missing = folder.ancestors().take_while(|part| !part.exists());
        let missing: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        made.0.extend(missing.into_iter().rev());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    if !folder.is_dir() {
        return Err(Refusal::NoFolder(shown()));
    }
    if folder.file_name().is_none_or(|name| name != FOLDER) {
        return Ok(());
    }
    let (now, owner) = (fs::metadata(folder)?, fs::metadata(root)?.uid());
    if is_link {
        // What it leads to is somebody's, who has said who may look into it.
        let target = fs::canonicalize(folder)?;
        let theirs = || Refusal::LeadsAway(shown(), printable(&target.to_string_lossy()));
        return if now.uid() == owner { Ok(()) } else { Err(theirs()) };
    }
    let own = rustix::process::geteuid().as_raw();
    if now.uid() != own && now.uid() != owner {
        return Err(Refusal::NotOurs(shown()));
    }
    if now.permissions().mode() & 0o777 != 0o700 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    if now.uid() != owner && std::os::unix::fs::chown(folder, Some(owner), None).is_err() {
        // Only root can, and `flowd check-config` says who may read it.
    }
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        made.0.push(ignore.clone());
        fs::write(ignore, "*\n")?;
    }
    Ok(())
}

/// Writes a file of mode 600 beside its place, and returns it. It belongs to whom the project belongs: what root writes for somebody
/// else they have to be able to read.
fn write(root: &Path, file: &Path, bytes: &[u8], made: &mut Made) -> Result<PathBuf, Refusal> {
    let folder = folder_of(file);
    ready(root, folder, made)?;
    if let Ok(target) = fs::read_link(file) {
        return Err(Refusal::Link(printable(&target.to_string_lossy())));
    }
    if file.is_dir() {
        return Err(std::io::Error::from(std::io::ErrorKind::IsADirectory).into());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let beside = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        Ok(()) | Err(_) => {}
    }
    made.0.push(beside.clone());
    let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    new.write_all(bytes)?;
    let owner = fs::metadata(root)?;
    if new.metadata()?.uid() != owner.uid() && std::os::unix::fs::fchown(&new, Some(owner.uid()), Some(owner.gid())).is_err() {
        // Only root can, and `flowd check-config` says who may read it.
    }
    new.sync_all()?;
    Ok(beside)
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
