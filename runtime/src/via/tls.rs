//! TLS for what is no HTTP: the system's certificates, or those of a file that flow.toml names.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
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
    secured.map(|stream| Box::new(stream) as Box<dyn Stream>).map_err(|error| refused(host, ca_file, &error))
}

/// Says what is wrong. With a certificate that is not trusted somebody has to do something; whatever else may pass.
fn refused(host: &str, ca_file: Option<&Path>, error: &std::io::Error) -> TransportError {
    let found = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
    let Some(Error::InvalidCertificate(why)) = found else {
        return TransportError::NotConnected(format!("TLS with {host}: {error}"));
    };
    let words = match why {
        // One that is signed by itself says that it is an authority, which a server's does not.
        CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_) => match ca_file {
            None => "its certificate is signed by nobody whom this machine trusts: put that certificate, or the server's own, into a file, and name it with `ca_file`".to_owned(),
            Some(file) => format!("its certificate is neither in {} nor signed by one that is", file.display()),
        },
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name, or names none: `host` has to be one of its subject alternative names (`openssl req -x509 … -addext \"subjectAltName=DNS:NAME\"` makes such a one)".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: is the clock right?".to_owned()
        }
        other => format!("its certificate is not accepted: {other}"),
    };
    TransportError::Broken(format!("TLS with {host}: {words}"))
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
    let mut named = Vec::new();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate.clone()).map_err(|error| wrong(&error))?;
        named.push(certificate);
    }
    if roots.is_empty() {
        return Err(wrong(&"there is no certificate in it"));
    }
    let signed = WebPkiServerVerifier::builder(Arc::new(roots)).build().map_err(|error| wrong(&error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Named { named, signed })).with_no_client_auth())
}

/// Accepts what is signed by a certificate of the file, and a certificate that is itself in the file: servers at home often have
/// one that is signed by itself, which says of itself that it is an authority and so is refused as a server's.
#[derive(Debug)]
struct Named {
    named: Vec<CertificateDer<'static>>,
    signed: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let signed = self.signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match signed {
            // The time of the certificate was looked at before these; its name comes behind them.
            Err(Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if self.named.iter().any(|named| named == end_entity) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            signed => signed,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
