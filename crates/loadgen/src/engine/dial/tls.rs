//! TLS: whom to trust, what to show, and what a failed handshake means.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use report::document::FailureKind;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::engine::Failure;
use crate::plan::{Protocol, TlsOptions};

/// Why TLS cannot be set up. Each message says what to do.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TlsError {
    #[error("cannot read {what} from {}: {why}", path.display())]
    File { what: &'static str, path: PathBuf, why: String },
    #[error("there is no {what} (PEM) in {}", path.display())]
    Empty { what: &'static str, path: PathBuf },
    #[error("the certificate and the key do not go together: {0}")]
    Pair(String),
    #[error(
        "this system has no certificates of authorities: name them with --cacert, or take any certificate with -k"
    )]
    NoAuthorities,
    #[error("`{0}` is not a name that --sni can ask for")]
    Name(String),
    #[error("setting up TLS: {0}")]
    Other(String),
}

/// The configuration of every TLS connection of a run.
///
/// Sessions are not resumed: each handshake is a whole one, so that each connection costs the server the same.
///
/// # Errors
/// When a file cannot be read or does not hold what it should.
pub(super) fn configure(options: &TlsOptions, protocol: Protocol) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Other(error.to_string()))?;
    let builder = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        let trusted = options.cacert.as_deref().map(|path| certificates(path, "certificate of an authority"));
        let trusted = trusted.transpose()?.unwrap_or_default();
        let store = authorities(options.cacert.as_deref(), &trusted)?;
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
        let inner = inner.map_err(|error| TlsError::Other(error.to_string()))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AuthorityOrItself { inner, trusted }))
    };
    let mut config = match &options.cert {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let key = options.key.as_ref().unwrap_or(path);
            let (chain, key) = (certificates(path, "certificate")?, private_key(key)?);
            builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::Pair(error.to_string()))?
        }
    };
    config.alpn_protocols = vec![protocol.name().as_bytes().to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn authorities(file: Option<&Path>, trusted: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let Some(path) = file else {
        // A file of the system that cannot be read matters only when nothing else is left.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return if store.is_empty() { Err(TlsError::NoAuthorities) } else { Ok(store) };
    };
    for certificate in trusted {
        let what = "certificates of authorities";
        let failed =
            |error: rustls::Error| TlsError::File { what, path: path.to_owned(), why: error.to_string() };
        store.add(certificate.clone()).map_err(failed)?;
    }
    Ok(store)
}

fn open(path: &Path, what: &'static str) -> Result<BufReader<File>, TlsError> {
    let failed =
        |error: io::Error| TlsError::File { what, path: path.to_owned(), why: report::os::why(&error) };
    File::open(path).map(BufReader::new).map_err(failed)
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = open(path, what)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(file).collect();
    let chain = read.map_err(|error| unreadable(path, what, error))?;
    if chain.is_empty() { Err(TlsError::Empty { what, path: path.to_owned() }) } else { Ok(chain) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "private key";
    let file = open(path, what)?;
    PrivateKeyDer::from_pem_reader(file).map_err(|error| unreadable(path, what, error))
}

fn unreadable(path: &Path, what: &'static str, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::NoItemsFound => TlsError::Empty { what, path },
        pem::Error::Io(error) => TlsError::File { what, path, why: report::os::why(&error) },
        error => TlsError::File { what, path, why: error.to_string() },
    }
}

/// The name that `--sni` asks for.
pub(super) fn name(text: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(text.to_owned()).map_err(|_| TlsError::Name(text.to_owned()))
}

/// Trusts what the authorities signed, and a server whose very certificate was given as trusted: people name a self-signed
/// one with `--cacert`, and other programs take that.
#[derive(Debug)]
struct AuthorityOrItself {
    inner: Arc<WebPkiServerVerifier>,
    trusted: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for AuthorityOrItself {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // The library takes no authority for a server, whatever it is trusted for.
        let is_itself = || self.trusted.iter().any(|trusted| trusted == end_entity);
        match verified {
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if is_itself() => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Takes any certificate, and any proof that the peer owns it: what `-k` asks for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What a failed handshake means. The peer's end of the connection counts as one too.
pub(super) fn failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Failure::new(FailureKind::Tls, "the server closed the connection during the TLS handshake");
    }
    Failure::transfer(error, "during the TLS handshake")
}

/// The errors that people meet, in words; the others as the library puts them.
pub(in crate::engine) fn explain(error: &rustls::Error) -> String {
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::InvalidMessage(_) => {
            return "the server's answer is not TLS: it may speak plain HTTP, with http:// in its URL"
                .to_owned();
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)
        | rustls::Error::NoApplicationProtocol => {
            return "the server does not speak the HTTP version that was asked for".to_owned();
        }
        rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired) => {
            return "the server wants a certificate of the client: give --cert and --key".to_owned();
        }
        error => return error.to_string(),
    };
    match certificate {
        CertificateError::UnknownIssuer => {
            "the server's certificate is signed by an authority that is not trusted here".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name".to_owned()
        }
        certificate => format!("the server's certificate is not valid: {certificate}"),
    }
}
