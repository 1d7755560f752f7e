//! CA certificates from PEM bundles.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const BEGIN: &[u8] = b"-----BEGIN ";
/// The labels of a certificate; the second is OpenSSL's older one.
const LABELS: [&[u8]; 2] = [b"CERTIFICATE-----", b"X509 CERTIFICATE-----"];
const END: &[u8] = b"-----END ";

/// A certificate of a bundle that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    /// Its number within the bundle, from 1.
    pub(crate) number: usize,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
    /// The reason.
    pub(crate) reason: String,
}

/// Reads every certificate of a PEM bundle that can be trusted, and lists the others.
///
/// Anything around the certificates is ignored, a byte order mark included.
pub(crate) fn parse_bundle(pem: &[u8]) -> (Vec<CertificateDer<'static>>, Vec<Unreadable>) {
    let (mut certificates, mut unreadable) = (Vec::new(), Vec::new());
    let mut from = 0;
    let (mut line, mut counted) = (1, 0);
    let mut number = 0;
    while let Some((begin, body)) = next_begin(pem, from) {
        line += pem[counted..begin]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        counted = begin;
        number += 1;
        let next = next_begin(pem, body).map_or(pem.len(), |(next, _)| next);
        match parse_one(&pem[body..next]) {
            Ok(certificate) => certificates.push(certificate),
            Err(reason) => unreadable.push(Unreadable {
                number,
                line,
                reason,
            }),
        }
        from = next;
    }
    (certificates, unreadable)
}

/// Returns where the next certificate's marker begins, and where it ends.
fn next_begin(pem: &[u8], mut from: usize) -> Option<(usize, usize)> {
    loop {
        let begin = from + find(&pem[from..], BEGIN)?;
        from = begin + BEGIN.len();
        let label = LABELS.iter().find(|label| pem[from..].starts_with(label));
        if let Some(label) = label {
            return Some((begin, from + label.len()));
        }
    }
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
}

/// Parses the base64 of one certificate, which ends with its end marker.
fn parse_one(body: &[u8]) -> Result<CertificateDer<'static>, String> {
    let end = find(body, END).ok_or("it has no end marker")?;
    let mut pem = b"-----BEGIN CERTIFICATE-----".to_vec();
    pem.extend_from_slice(&body[..end]);
    pem.extend_from_slice(b"\n-----END CERTIFICATE-----\n");
    let certificate = CertificateDer::from_pem_slice(&pem).map_err(|error| error.to_string())?;
    RootCertStore::empty()
        .add(certificate.clone())
        .map_err(|error| error.to_string())?;
    Ok(certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> String {
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn a_byte_order_mark_and_text_around_are_skipped() {
        let pem = certificate();
        for bundle in [
            pem.clone(),
            format!("\u{feff}{pem}"),
            format!("subject: x\n\n{pem}\n# end"),
            pem.replace('\n', "\r\n"),
            pem.replace("CERTIFICATE", "X509 CERTIFICATE"),
        ] {
            let (certificates, unreadable) = parse_bundle(bundle.as_bytes());
            assert_eq!((certificates.len(), unreadable.len()), (1, 0), "{bundle}");
        }
    }

    #[test]
    fn one_unreadable_certificate_is_named_and_the_others_are_used() {
        let good = certificate();
        let bad_base64 = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let no_end = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for bad in [bad_base64, no_certificate, no_end] {
            let (certificates, unreadable) = parse_bundle(format!("{good}{bad}{good}").as_bytes());
            assert_eq!(certificates.len(), 2, "{bad}");
            let place = (unreadable[0].number, unreadable[0].line);
            assert_eq!(place, (2, good.lines().count() + 1), "{bad}");
            assert!(!unreadable[0].reason.is_empty() && unreadable.len() == 1);
        }
    }

    #[test]
    fn what_holds_no_certificate_gives_none() {
        for odd in [
            "",
            "nonsense",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        ] {
            assert_eq!(
                parse_bundle(odd.as_bytes()),
                (Vec::new(), Vec::new()),
                "{odd}"
            );
        }
    }
}
