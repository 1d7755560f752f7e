const BLOCK: usize = 512;

/// A ustar archive of `files` files with a little data each.
pub(super) fn of_files(files: u32) -> Vec<u8> {
    let mut archive = Vec::new();
    for number in 0..files {
        let path = format!("usr/lib/package-{}/file-{number}.js", number / 100);
        let size = number % 1500;
        header(&mut archive, &path, size);
        let end = archive.len() + size as usize;
        archive.resize(end.next_multiple_of(BLOCK), b'x');
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// Appends a header block, as POSIX has it.
fn header(archive: &mut Vec<u8>, path: &str, size: u32) {
    let mut block = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| block[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, path);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "14524770000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    archive.extend_from_slice(&block);
}
