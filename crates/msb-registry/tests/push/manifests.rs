//! Manifests, and the lists of what refers to them.

use std::collections::BTreeMap;

use bytes::Bytes;
use msb_registry::{Error, ReferrerEntry};

use super::support::{Reply, Server};
use super::*;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Manifests by the name they were pushed under.
type Manifests = Arc<Mutex<BTreeMap<String, (String, String)>>>;

fn serve(manifests: &Manifests, request: &Request) -> Reply {
    let mut manifests = manifests.lock().unwrap();
    let Some(name) = request.path.strip_prefix("/v2/a/manifests/") else {
        return Reply::new(404, "");
    };
    if request.method == "PUT" {
        let content_type = request.header("content-type").unwrap().to_owned();
        let digest = Digest::sha256_of(request.body.as_bytes()).to_string();
        manifests.insert(name.to_owned(), (content_type, request.body.clone()));
        return Reply::new(201, "").header("Docker-Content-Digest", &digest);
    }
    match manifests.get(name) {
        Some((content_type, body)) => Reply::ok(body.clone()).header("Content-Type", content_type),
        None => Reply::new(404, ""),
    }
}

#[tokio::test]
async fn a_manifest_is_pushed_by_tag_and_by_digest() {
    let manifests = Manifests::default();
    let seen = Arc::clone(&manifests);
    let server = Server::start(move |request, _| serve(&seen, request)).await;
    let client = server.client().build().unwrap();
    let bytes = Bytes::from_static(br#"{"layers":[]}"#);
    let tagged = server.reference("a:v1");
    let pushed = client
        .push_manifest(&tagged, MANIFEST, &bytes)
        .await
        .unwrap();
    assert_eq!(pushed.digest, Digest::sha256_of(&bytes));
    let by_digest = tagged.with_digest(pushed.digest);
    client
        .push_manifest(&by_digest, MANIFEST, &bytes)
        .await
        .unwrap();
    let names: Vec<String> = manifests.lock().unwrap().keys().cloned().collect();
    assert_eq!(names, [pushed.digest.to_string(), "v1".to_owned()]);
    let other = tagged.with_digest(Digest::sha256_of(b"other"));
    let error = client.push_manifest(&other, MANIFEST, &bytes).await;
    assert!(matches!(error, Err(Error::UploadContent { .. })));
    let error = client.push_manifest(&tagged, "a\nb", &bytes).await;
    assert!(matches!(error, Err(Error::MediaType { .. })));
}

#[tokio::test]
async fn a_registry_that_rewrites_manifests_is_noticed() {
    let server = Server::start(|_, _| {
        let other = format!("sha256:{}", "1".repeat(64));
        Reply::new(201, "").header("Docker-Content-Digest", &other)
    })
    .await;
    let client = server.client().build().unwrap();
    let bytes = Bytes::from_static(br#"{"layers":[]}"#);
    let error = client
        .push_manifest(&server.reference("a:v1"), MANIFEST, &bytes)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_referrer_is_listed_once_in_the_fallback_tag_beside_others() {
    let manifests = Manifests::default();
    let subject = Digest::sha256_of(b"subject");
    let tag = subject.to_string().replace(':', "-");
    let other = format!(
        r#"{{"mediaType":"{MANIFEST}","digest":"sha256:{}","size":3,"x":[1]}}"#,
        "2".repeat(64)
    );
    let index = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{other}]}}"#);
    let tags = Arc::clone(&manifests);
    tags.lock()
        .unwrap()
        .insert(tag.clone(), (INDEX.into(), index));
    let seen = Arc::clone(&manifests);
    let server = Server::start(move |request, _| serve(&seen, request)).await;
    let client = server.client().build().unwrap();
    let bytes = Bytes::from_static(br#"{"layers":[]}"#);
    let entry = ReferrerEntry::new(subject, "application/x");
    for _ in 0..2 {
        let reference = server.reference("a");
        let pushed = client.push_referrer(&reference, &entry, &bytes).await;
        assert!(!pushed.unwrap().is_listed);
    }
    let body = manifests.lock().unwrap()[&tag].1.clone();
    assert_eq!(body.matches(r#""digest""#).count(), 2, "{body}");
    assert!(body.contains(r#""x":[1]"#), "{body}");
    let listed = client
        .referrers(&server.reference("a"), &subject)
        .await
        .unwrap();
    assert!(listed.is_fallback);
    assert_eq!(listed.referrers[1].digest, Digest::sha256_of(&bytes));
    assert_eq!(listed.referrers[1].artifact_type, "application/x");
}

#[tokio::test]
async fn a_referrer_that_another_client_displaced_is_listed_again() {
    let manifests = Manifests::default();
    let subject = Digest::sha256_of(b"subject");
    let tag = subject.to_string().replace(':', "-");
    let (seen, raced) = (Arc::clone(&manifests), Mutex::new(false));
    let empty = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[]}}"#);
    let name = tag.clone();
    let server = Server::start(move |request, _| {
        let reply = serve(&seen, request);
        let is_tag = request.method == "PUT" && request.path.ends_with(&name);
        if is_tag && !std::mem::replace(&mut *raced.lock().unwrap(), true) {
            let lost = (INDEX.to_owned(), empty.clone());
            seen.lock().unwrap().insert(name.clone(), lost);
        }
        reply
    })
    .await;
    let client = server.client().build().unwrap();
    let bytes = Bytes::from_static(br#"{"layers":[]}"#);
    let entry = ReferrerEntry::new(subject, "application/x");
    let reference = server.reference("a");
    client
        .push_referrer(&reference, &entry, &bytes)
        .await
        .unwrap();
    let listed = client.referrers(&reference, &subject).await.unwrap();
    assert_eq!(listed.referrers.len(), 1);
}

#[tokio::test]
async fn a_referrer_that_the_registry_lists_needs_no_tag() {
    let subject = Digest::sha256_of(b"subject");
    let server = Server::start(move |request, _| {
        assert_eq!(request.method, "PUT");
        Reply::new(201, "").header("OCI-Subject", &subject.to_string())
    })
    .await;
    let client = server.client().build().unwrap();
    let entry = ReferrerEntry::new(subject, "application/x");
    let pushed = client
        .push_referrer(&server.reference("a"), &entry, &Bytes::from_static(b"{}"))
        .await;
    assert!(pushed.unwrap().is_listed);
    assert_eq!(server.requests().len(), 1);
}
