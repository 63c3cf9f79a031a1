//! TLS to the server: what is examined for which `sslmode`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, TlsMode, TlsRoots};
use super::failure::{Failure, FailureKind};

/// Where operating systems keep the certificates that they trust, in one PEM file.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// The operating system's root certificates: `SSL_CERT_FILE`, or the first of the usual places.
pub fn system_roots_file() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE")
        .map(PathBuf::from)
        .into_iter()
        .chain(SYSTEM_ROOTS.iter().map(PathBuf::from))
        .find(|path| path.is_file())
}

/// Makes the connector that `address` asks for.
pub(super) fn connector(address: &Address) -> Result<MakeRustlsConnect, Failure> {
    let provider = Arc::new(ring::default_provider());
    let examiner = Examiner::new(address, provider.clone())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(FailureKind::Tls, format!("no TLS version can be offered: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(examiner))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// Judges a server's certificate as `sslmode` says.
#[derive(Debug)]
struct Examiner {
    provider: Arc<CryptoProvider>,
    /// `None`: the certificate is not examined, the connection is only encrypted.
    chain: Option<Chain>,
}

#[derive(Debug)]
struct Chain {
    verifier: Arc<WebPkiServerVerifier>,
    roots: Vec<CertificateDer<'static>>,
    examine_name: bool,
}

impl Examiner {
    fn new(address: &Address, provider: Arc<CryptoProvider>) -> Result<Examiner, Failure> {
        let examine_name = address.tls_mode == TlsMode::VerifyFull;
        // As with libpq, root certificates that are there make `require` examine the chain.
        let examined = matches!(address.tls_mode, TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull);
        let chain = match address.tls_roots.as_ref().filter(|_| examined) {
            None => None,
            Some(roots) => Some(Chain::new(roots, examine_name, &provider)?),
        };
        Ok(Examiner { provider, chain })
    }
}

impl Chain {
    fn new(roots: &TlsRoots, examine_name: bool, provider: &Arc<CryptoProvider>) -> Result<Chain, Failure> {
        let path = match roots {
            TlsRoots::File(path) => path.clone(),
            TlsRoots::System => system_roots_file().ok_or_else(|| {
                Failure::new(
                    FailureKind::Tls,
                    "the system's root certificates were not found; set sslrootcert to a PEM file",
                )
            })?,
        };
        let certificates = read_certificates(&path)?;
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(certificates.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone())
            .build()
            .map_err(|error| unusable_roots(&path, &error))?;
        Ok(Chain { verifier, roots: certificates, examine_name })
    }
}

fn unusable_roots(path: &Path, error: &dyn std::error::Error) -> Failure {
    let what = format!("the root certificates in {} cannot be used: {error}", path.display());
    Failure::new(FailureKind::Tls, what)
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable_roots(path, &error))
}

impl ServerCertVerifier for Examiner {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // A self-signed certificate that is itself among the roots is trusted by being there; path building would
        // refuse it as an authority that serves.
        if chain.roots.iter().any(|root| root.as_ref() == end_entity.as_ref()) {
            if chain.examine_name {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verdict =
            chain.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is looked at last: the chain has been found good by then.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !chain.examine_name => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
