/// Encodes a device number as inodes store it, with 12 bits of major and 20 bits of minor (kernel: `new_encode_dev`).
/// Returns `None` if either does not fit.
#[must_use]
pub const fn encode_rdev(major: u32, minor: u32) -> Option<u32> {
    if major >= 1 << 12 || minor >= 1 << 20 {
        return None;
    }
    Some((minor & 0xff) | (major << 8) | ((minor & !0xff) << 12))
}

/// Decodes a stored device number into major and minor (kernel: `new_decode_dev`).
#[must_use]
pub const fn decode_rdev(rdev: u32) -> (u32, u32) {
    (
        (rdev & 0xf_ff00) >> 8,
        (rdev & 0xff) | ((rdev >> 12) & 0xf_ff00),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_round_trip() {
        for dev in [(0, 0), (1, 3), (8, 257), (4095, (1 << 20) - 1)] {
            assert_eq!(decode_rdev(encode_rdev(dev.0, dev.1).unwrap()), dev);
        }
        assert_eq!(encode_rdev(4096, 0), None);
        assert_eq!(encode_rdev(0, 1 << 20), None);
    }
}
