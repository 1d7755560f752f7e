//! Tags and referrers.

use super::*;

#[tokio::test]
async fn tags_are_listed_over_several_pages() {
    let server = Server::start(|request, _| match request.path.as_str() {
        "/v2/a/tags/list" => Reply::ok(r#"{"name":"a","tags":["1","2"]}"#)
            .header("Link", "</v2/a/tags/list?last=2&n=2>; rel=\"next\""),
        "/v2/a/tags/list?last=2&n=2" => Reply::ok(r#"{"name":"a","tags":["3"]}"#),
        _ => Reply::new(404, ""),
    })
    .await;
    let client = server.client().build().unwrap();
    let tags = client.tags(&server.reference("a")).await.unwrap();
    assert_eq!(tags, ["1", "2", "3"]);
    let none = Server::start(|_, _| Reply::ok(r#"{"name":"a","tags":null}"#)).await;
    let client = none.client().build().unwrap();
    let tags = client.tags(&none.reference("a")).await;
    assert!(tags.unwrap().is_empty());
}

#[tokio::test]
async fn pages_without_an_end_end() {
    let server = Server::start(|_, number| {
        let tags = if number < 3 { "[\"x\"]" } else { "[]" };
        Reply::ok(format!("{{\"tags\":{tags}}}"))
            .header("Link", "</v2/a/tags/list?n=1>; rel=\"next\"")
    })
    .await;
    let client = server.client().build().unwrap();
    assert_eq!(client.tags(&server.reference("a")).await.unwrap().len(), 3);
}

#[tokio::test]
async fn referrers_come_from_the_api_else_from_the_fallback_tag() {
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"m","artifactType":"sbom","digest":"{}","size":3}}]}}"#,
        blob_digest()
    );
    let subject = index_digest();
    for (path, is_fallback) in [
        (format!("/v2/a/referrers/{subject}"), false),
        (
            format!("/v2/a/manifests/{}", subject.to_string().replace(':', "-")),
            true,
        ),
    ] {
        let (served, index) = (path.clone(), index.clone());
        let server = Server::start(move |request, _| match request.path == served {
            true => Reply::ok(index.clone()),
            false => Reply::new(404, ""),
        })
        .await;
        let client = server.client().build().unwrap();
        let found = client
            .referrers(&server.reference("a"), &subject)
            .await
            .unwrap();
        assert_eq!(found.is_fallback, is_fallback);
        assert_eq!(found.referrers.len(), 1);
        assert_eq!(found.referrers[0].artifact_type, "sbom");
        assert_eq!(found.referrers[0].digest, blob_digest());
    }
    let empty = Server::start(|_, _| Reply::new(404, "")).await;
    let client = empty.client().build().unwrap();
    let found = client
        .referrers(&empty.reference("a"), &subject)
        .await
        .unwrap();
    assert!(found.referrers.is_empty());
}
