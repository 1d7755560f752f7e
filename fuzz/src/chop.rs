//! Cuts a stream into pieces, which must not change any result.

/// Returns pieces of pseudo-random lengths from `seed`: mostly short, sometimes a block or more.
pub fn chop(bytes: &[u8], seed: u64) -> impl Iterator<Item = &[u8]> {
    let mut state = seed | 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let most = [1, 7, 100, 512, 600, 4096][(state >> 40) as usize % 6];
        let len = 1 + (state >> 20) as usize % most;
        let (piece, others) = rest.split_at(len.min(rest.len()));
        rest = others;
        Some(piece)
    })
}
