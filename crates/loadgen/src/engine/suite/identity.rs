//! A server's certificate for `localhost` and 127.0.0.1, and the authority that signed it.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tempfile::NamedTempFile;

/// Who a server is.
pub(crate) struct Identity {
    /// How it introduces itself.
    pub(crate) server: Arc<ServerConfig>,
    /// Its certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// Its private key.
    pub(crate) key: PrivateKeyDer<'static>,
    /// The file with the authority's certificate.
    pub(crate) authority: NamedTempFile,
}

impl Identity {
    /// A new one that offers these protocols.
    pub(crate) fn new(protocols: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
        let mut server = builder
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private.clone_key())
            .unwrap();
        server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority.pem()).unwrap();
        let certificate = certificate.der().clone();
        Self { server: Arc::new(server), certificate, key: private, authority: file }
    }
}
