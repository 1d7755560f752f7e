//! Listing tags and referrers.

use bytes::Bytes;
use msb_oci::{Digest, Reference};
use reqwest::Url;
use reqwest::header::LINK;
use serde::Deserialize;

use super::Client;
use super::ask::Ask;
use crate::context::RequestContext;
use crate::error::{Error, ManifestProblem};

/// The largest number of tags that are listed.
const MAX_TAGS: usize = 1_000_000;
/// The largest number of pages that are fetched.
const MAX_PAGES: usize = 10_000;
const ACCEPT_INDEX: &str = "application/vnd.oci.image.index.v1+json, application/json;q=0.5";

/// What refers to a manifest: signatures, attestations, bills of materials.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Referrers {
    /// The referrers, in the order of the registry.
    pub referrers: Vec<Referrer>,
    /// Whether they come from the fallback tag, because the registry has no referrers API.
    pub is_fallback: bool,
}

/// The descriptor of one referrer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Referrer {
    /// The digest of the referring manifest.
    pub digest: Digest,
    /// Its size, in bytes.
    pub size: u64,
    /// Its media type. May hold any characters.
    pub media_type: String,
    /// What it is. May hold any characters; empty if the registry does not state it.
    pub artifact_type: String,
}

#[derive(Deserialize)]
struct TagList {
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    digest: String,
    size: u64,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
}

impl Client {
    /// Lists the tags of the repository that `reference` names, in the order of the registry. Its tag and digest do not count.
    ///
    /// # Errors
    ///
    /// Every fault of a request; [`Error::OverLimit`] for more than a million tags or a page longer than
    /// [`Limits::index_bytes`](crate::Limits::index_bytes).
    pub async fn tags(&self, reference: &Reference) -> Result<Vec<String>, Error> {
        let mut tags = Vec::new();
        let mut query = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(&Ask::tags(reference, query)).await?;
            let list: TagList = parse(&page)?;
            let before = tags.len();
            tags.extend(list.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(Error::OverLimit {
                    context: page.context,
                    limit: MAX_TAGS as u64,
                });
            }
            match page.next {
                // A page without a tag makes no progress.
                Some(next) if tags.len() > before => query = Some(next),
                _ => break,
            }
        }
        Ok(tags)
    }

    /// Lists what refers to the manifest `subject` of the repository that `reference` names: by the referrers API, else by the tag
    /// that the specification has for registries without it.
    ///
    /// # Errors
    ///
    /// Every fault of a request. A subject without referrers is not an error.
    pub async fn referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let asked = self
            .page(&Ask::referrers(reference, subject, ACCEPT_INDEX))
            .await;
        match asked {
            Ok(page) => Ok(Referrers {
                referrers: referrers(&parse(&page)?, &page)?,
                is_fallback: false,
            }),
            Err(error) if error.is_not_found() => self.tagged_referrers(reference, subject).await,
            Err(error) => Err(error),
        }
    }

    /// Reads the index with the tag `ALGORITHM-HEX`.
    async fn tagged_referrers(
        &self,
        reference: &Reference,
        subject: &Digest,
    ) -> Result<Referrers, Error> {
        let tag = subject.to_string().replace(':', "-");
        let Ok(reference) = reference.with_tag(&tag) else {
            return Ok(Referrers::default());
        };
        match self.page(&Ask::manifest(&reference, ACCEPT_INDEX)).await {
            Ok(page) => Ok(Referrers {
                referrers: referrers(&parse(&page)?, &page)?,
                is_fallback: true,
            }),
            Err(error) if error.is_not_found() => Ok(Referrers::default()),
            Err(error) => Err(error),
        }
    }

    async fn page(&self, ask: &Ask<'_>) -> Result<Page, Error> {
        let mut retry = self.sender.new_retry();
        loop {
            match self.page_once(ask).await {
                Ok(page) => return Ok(page),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    async fn page_once(&self, ask: &Ask<'_>) -> Result<Page, Error> {
        let (response, _) = self.sender.send(ask).await?;
        let link = response.inner.headers().get(LINK);
        let next = link
            .and_then(|link| link.to_str().ok())
            .and_then(|link| next_query(link, &response.url));
        let exchange = self.sender.exchange();
        let limit = exchange.limits.index_bytes;
        let (bytes, context) = exchange.read(response, limit).await?;
        Ok(Page {
            bytes,
            context,
            next,
        })
    }
}

/// One page of a list.
struct Page {
    bytes: Bytes,
    context: RequestContext,
    /// The query of the next page.
    next: Option<String>,
}

fn parse<'de, T: Deserialize<'de>>(page: &'de Page) -> Result<T, Error> {
    serde_json::from_slice(&page.bytes).map_err(|error| Error::NotJson {
        context: page.context.clone(),
        line: error.line(),
        column: error.column(),
    })
}

fn referrers(index: &Index, page: &Page) -> Result<Vec<Referrer>, Error> {
    let one = |descriptor: &Descriptor| {
        let digest = descriptor.digest.parse().map_err(|_| Error::Manifest {
            context: page.context.clone(),
            problem: ManifestProblem::Unknown,
        })?;
        Ok(Referrer {
            digest,
            size: descriptor.size,
            media_type: descriptor.media_type.clone(),
            artifact_type: descriptor.artifact_type.clone(),
        })
    };
    index.manifests.iter().map(one).collect()
}

/// Returns the query of the link with `rel="next"` (RFC 8288). Only the query counts, so that no link leads to another host.
fn next_query(link: &str, base: &Url) -> Option<String> {
    let next = link.split(',').find(|part| {
        let lower = part.to_ascii_lowercase();
        lower.contains("rel=\"next\"") || lower.contains("rel=next")
    })?;
    let target = next.split_once('<')?.1.split_once('>')?.0;
    let url = base.join(target).ok()?;
    // The client adds the namespace itself.
    let mut query = url.clone();
    query.query_pairs_mut().clear().extend_pairs(
        url.query_pairs()
            .filter(|(name, _)| name != "ns")
            .map(|(name, value)| (name.into_owned(), value.into_owned())),
    );
    query
        .query()
        .filter(|query| !query.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_on_the_same_host() {
        let base: Url = "https://r.example/v2/a/tags/list?ns=x".parse().unwrap();
        let next = |link: &str| next_query(link, &base);
        assert_eq!(
            next("</v2/a/tags/list?last=b&n=2>; rel=\"next\"").as_deref(),
            Some("last=b&n=2")
        );
        assert_eq!(
            next("<https://evil.example/?last=b&ns=y>; rel=next").as_deref(),
            Some("last=b")
        );
        for odd in [
            "",
            "<x>",
            "<x; rel=\"next\"",
            "<x>; rel=\"next\"",
            "rel=next",
        ] {
            assert_eq!(next(odd), None, "{odd}");
        }
    }
}
