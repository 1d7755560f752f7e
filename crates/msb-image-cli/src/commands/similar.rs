use microsandbox_image::{GlobalCache, Reference};

/// Returns the cached image whose name is most like one that is not cached: the same repository with another tag, or a name with a typing
/// error or two.
pub(super) fn similar(cache: &GlobalCache, reference: &Reference) -> Option<Reference> {
    // Suggestions are only a help, so that a cache that cannot be read has none.
    let images = cache.images().unwrap_or_default().into_iter();
    let cached = images.filter_map(|image| image.reference.parse::<Reference>().ok());
    cached
        .filter(|cached| cached != reference)
        .filter_map(|cached| Some((difference(reference, &cached)?, cached)))
        .min()
        .map(|(_, cached)| cached)
}

/// Returns how many letters differ; `None` if the names are not alike.
fn difference(asked: &Reference, cached: &Reference) -> Option<usize> {
    if asked.name() == cached.name() {
        return Some(0);
    }
    let texts = [asked, cached].map(ToString::to_string);
    let letters = strsim::damerau_levenshtein(&texts[0], &texts[1]);
    // The repository without its registry and namespace is what is typed mostly.
    let repository = asked.repository();
    let typed = repository.rsplit('/').next().unwrap_or(repository).len();
    (letters <= 1 + typed / 4).then_some(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_typing_error_are_alike() {
        let difference = |a: &str, b: &str| {
            let [a, b] = [a, b].map(|text| text.parse().expect("a reference"));
            difference(&a, &b)
        };
        assert_eq!(difference("alpin", "alpine"), Some(1));
        assert_eq!(difference("pyhton", "python"), Some(1));
        assert_eq!(difference("alpine:3.20", "alpine:3.21"), Some(0));
        assert_eq!(difference("debian", "alpine"), None);
        assert_eq!(difference("quay.io/a/tool", "ghcr.io/a/tool"), None);
    }
}
