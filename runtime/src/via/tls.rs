//! TLS for what is no HTTP: the system's certificates, or those of a file that flow.toml names.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::TransportError;

/// A connection, with TLS or without.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection. Nothing is sent where it fails.
pub(crate) async fn open(host: &str, port: u16) -> Result<TcpStream, TransportError> {
    let unreached = |error: std::io::Error| TransportError::NotConnected(format!("{host}:{port}: {error}"));
    let stream = tokio::time::timeout(crate::transport::CONNECT_TIMEOUT, TcpStream::connect((host, port)))
        .await
        .map_err(|_| TransportError::NotConnected(format!("{host}:{port}: it took too long")))?
        .map_err(unreached)?;
    stream.set_nodelay(true).map_err(unreached)?;
    Ok(stream)
}

/// Begins TLS on a connection: the certificate has to be for `host`.
pub(crate) async fn secure(stream: TcpStream, host: &str, ca_file: Option<&Path>) -> Result<Box<dyn Stream>, TransportError> {
    let config = config(ca_file).map_err(TransportError::Broken)?;
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| TransportError::Broken(format!("`{host}` is no name that a certificate could be for")))?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let secured = tokio::time::timeout(crate::transport::CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| TransportError::NotConnected(format!("TLS with {host}: it took too long")))?;
    match secured {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(TransportError::NotConnected(format!("TLS with {host}: {error}"))),
    }
}

fn config(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    // A second provider would be refused, which is well: one is there.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = ClientConfig::builder();
    let Some(path) = ca_file else {
        let builder = builder.with_platform_verifier().map_err(|error| format!("the system's certificates: {error}"))?;
        return Ok(builder.with_no_client_auth());
    };
    let wrong = |error: &dyn std::fmt::Display| format!("ca_file {}: {error}", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        roots.add(certificate.map_err(|error| wrong(&error))?).map_err(|error| wrong(&error))?;
    }
    if roots.is_empty() {
        return Err(wrong(&"there is no certificate in it"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
