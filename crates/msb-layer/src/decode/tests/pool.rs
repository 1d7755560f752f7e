use super::support::sample;
use crate::decode::{Chunk, Pool};

#[test]
fn buffers_return_to_the_pool_when_the_last_chunk_is_dropped() {
    let pool = Pool::new(8, 1);
    let address = |chunk: &Chunk| chunk.as_ptr().addr();
    let first = pool.chunks(b"12345678").next().expect("one chunk");
    let (copy, at) = (first.clone(), address(&first));
    assert_eq!(address(&copy), at);
    drop(first);
    let other = pool.chunks(b"x").next().expect("one chunk");
    assert_ne!(address(&other), at);
    drop(copy);
    let again = pool.chunks(b"abc").next().expect("one chunk");
    assert_eq!((address(&again), &*again), (at, &b"abc"[..]));
    // A chunk may outlive its pool.
    drop(pool);
    assert_eq!(&*again, b"abc");
}

#[test]
fn uncompressed_bytes_are_split_into_chunks() {
    let plain = sample(25);
    let chunks: Vec<_> = Pool::new(10, 0)
        .chunks(&plain)
        .map(|chunk| chunk.to_vec())
        .collect();
    assert_eq!(chunks.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!(chunks.concat(), plain);
}

#[test]
fn chunks_cross_threads() {
    fn sendable<T: Send + Sync>() {}
    sendable::<Chunk>();
    sendable::<Pool>();
}
