use erofs_format::{BLOCK_SIZE, ChunkFormat, ChunkIndex, DataLayout, HOLE};
use zerocopy::FromBytes;

use crate::{Error, Image, Inode, InodeProblem, ReadAt};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// A contiguous range of a file's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// The offset in the file, in bytes.
    pub logical: u64,
    /// The length in bytes: at least 1, and not past the end of the file.
    pub len: u64,
    /// The location of the bytes.
    pub place: Place,
}

/// The location of the bytes of an [`Extent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the bytes are zeros.
    Hole,
    /// Blocks of a device. The extent, rounded up to blocks, lies on the device.
    Device {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// The offset on that device, in bytes; a multiple of the block size.
        offset: u64,
    },
    /// After the inode, within one block.
    Inline {
        /// The offset on the primary device, in bytes.
        offset: u64,
    },
}

/// The extents of one file in order, without gaps; see [`Image::extents`].
#[derive(Debug)]
#[must_use = "iterators are lazy"]
pub struct Extents<'a, D> {
    image: &'a Image<D>,
    inode: Inode,
    /// The end of the extents that were returned, as an offset in the file.
    logical: u64,
    /// The end of the requested range; at most the size of the file.
    stop: u64,
    chunks: Option<Chunks>,
    failed: bool,
}

/// The chunk addresses of one inode, which lie on the primary device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    format: ChunkFormat,
    /// The offset of the first address.
    pub(crate) offset: u64,
    /// The size of an address in bytes.
    unit: u64,
    pub(crate) count: u64,
}

impl Chunks {
    /// Returns the end of the addresses.
    pub(crate) fn end(self) -> u64 {
        self.offset + self.count * self.unit
    }
}

impl<D: ReadAt> Image<D> {
    /// Returns the extents of an inode's data. Adjacent chunks that are adjacent on the device too form one extent.
    /// Inodes without data, such as devices, have no extents.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] for compressed data, or chunk addresses outside the primary device. The iterator returns an error for an extent outside its device, and ends after it.
    pub fn extents(&self, inode: &Inode) -> Result<Extents<'_, D>, Error> {
        self.extents_within(inode, 0, inode.size)
    }

    /// Returns the extents that overlap `start..stop`. The first one may begin earlier.
    pub(crate) fn extents_within(
        &self,
        inode: &Inode,
        start: u64,
        stop: u64,
    ) -> Result<Extents<'_, D>, Error> {
        let mut extents = Extents {
            image: self,
            inode: *inode,
            logical: start,
            stop: stop.min(inode.size),
            chunks: None,
            failed: false,
        };
        if !inode.has_data() {
            extents.stop = 0;
            return Ok(extents);
        }
        match inode.layout {
            DataLayout::Compressed => {
                let feature_incompat = self.superblock().feature_incompat.get();
                return Err(inode.error(InodeProblem::Compressed { feature_incompat }));
            }
            DataLayout::FlatPlain | DataLayout::FlatInline => {}
            DataLayout::ChunkBased => {
                let chunks = self.chunks(inode)?;
                let chunk_bytes = 1 << chunks.format.chunk_bits();
                extents.logical -= extents.logical % chunk_bytes;
                extents.chunks = Some(chunks);
            }
        }
        Ok(extents)
    }

    /// Locates the chunk addresses of a chunk-based inode (kernel: `erofs_map_blocks`).
    pub(crate) fn chunks(&self, inode: &Inode) -> Result<Chunks, Error> {
        let format = inode.chunk_format()?;
        let unit = if format.has_indexes() { 8 } else { 4 };
        let count = inode.size.div_ceil(1 << format.chunk_bits());
        let offset = inode.body_end().next_multiple_of(unit);
        if count > self.primary_bytes.saturating_sub(offset) / unit {
            return Err(inode.error(InodeProblem::ChunkTable {
                count,
                primary_bytes: self.primary_bytes,
            }));
        }
        Ok(Chunks {
            format,
            offset,
            unit,
            count,
        })
    }

    /// Returns the place of `len` bytes at a block of a device, after checking that the device has all of them.
    ///
    /// An address on device 0 after the end of the primary is an address on the flat disk, even if the devices were
    /// opened one by one (kernel: `erofs_map_dev`).
    fn place(
        &self,
        inode: &Inode,
        extent: (u64, u64),
        device_id: u16,
        block: u32,
    ) -> Result<Place, Error> {
        let (logical, len) = extent;
        let offset = u64::from(block) * BLOCK;
        let needed = len.next_multiple_of(BLOCK);
        let (device_id, offset, device_bytes) = match usize::from(device_id).checked_sub(1) {
            Some(index) => match self.devices.get(index) {
                Some(device) => (device_id, offset, device.bytes()),
                None => {
                    return Err(inode.error(InodeProblem::NoSuchDevice {
                        logical,
                        device_id,
                        devices: self.devices.len(),
                    }));
                }
            },
            None if offset < self.primary_bytes => (0, offset, self.primary_bytes),
            None => (1u16..)
                .zip(&self.devices)
                .filter(|(_, device)| device.uniaddr != 0 && device.flat_offset() <= offset)
                .map(|(id, device)| (id, offset - device.flat_offset(), device.bytes()))
                .find(|(_, offset, bytes)| offset < bytes)
                .unwrap_or((0, offset, self.primary_bytes)),
        };
        if device_bytes
            .checked_sub(offset)
            .is_none_or(|room| room < needed)
        {
            return Err(inode.error(InodeProblem::Extent {
                device_id,
                offset,
                len,
                device_bytes,
            }));
        }
        Ok(Place::Device { device_id, offset })
    }
}

impl<D: ReadAt> Extents<'_, D> {
    /// Returns the extent of consecutive blocks, or the inline tail, at `logical` (kernel:
    /// `erofs_map_blocks_flatmode`).
    fn flat(&self) -> Result<Extent, Error> {
        let inode = &self.inode;
        let tail_start = match inode.layout {
            DataLayout::FlatInline => (inode.size - 1) / BLOCK * BLOCK,
            _ => inode.size,
        };
        if self.logical < tail_start {
            if inode.i_u == HOLE {
                return Err(inode.error(InodeProblem::NoStartBlock { size: inode.size }));
            }
            return Ok(Extent {
                logical: 0,
                len: tail_start,
                place: self.image.place(inode, (0, tail_start), 0, inode.i_u)?,
            });
        }
        let (offset, len) = (inode.body_end(), inode.size - tail_start);
        if offset % BLOCK + len > BLOCK || offset + len > self.image.primary_bytes {
            return Err(inode.error(InodeProblem::InlineTail { offset, len }));
        }
        Ok(Extent {
            logical: tail_start,
            len,
            place: Place::Inline { offset },
        })
    }

    /// Reads the address of the chunk at `logical`, a multiple of the chunk size.
    fn chunk(&self, chunks: Chunks, logical: u64) -> Result<Extent, Error> {
        let chunk_bytes = 1 << chunks.format.chunk_bits();
        let mut bytes = [0; size_of::<ChunkIndex>()];
        let at = chunks.offset + logical / chunk_bytes * chunks.unit;
        let (device_id, block) = if chunks.format.has_indexes() {
            self.read_address(&mut bytes, at)?;
            let index =
                ChunkIndex::read_from_bytes(&bytes).expect("the buffer has an index's size");
            (index.device_id.get(), index.startblk_lo.get())
        } else {
            self.read_address(&mut bytes[..4], at)?;
            let [a, b, c, d, ..] = bytes;
            (0, u32::from_le_bytes([a, b, c, d]))
        };
        let len = chunk_bytes.min(self.inode.size - logical);
        let place = if block == HOLE {
            Place::Hole
        } else {
            self.image
                .place(&self.inode, (logical, len), device_id, block)?
        };
        Ok(Extent {
            logical,
            len,
            place,
        })
    }

    fn read_address(&self, buf: &mut [u8], at: u64) -> Result<(), Error> {
        self.image.read_meta(buf, at).unwrap_or_else(|| {
            Err(self.inode.error(InodeProblem::ChunkTable {
                count: self.chunks.map_or(0, |chunks| chunks.count),
                primary_bytes: self.image.primary_bytes,
            }))
        })
    }

    fn chunk_run(&self, chunks: Chunks) -> Result<Extent, Error> {
        let mut run = self.chunk(chunks, self.logical)?;
        while run.logical + run.len < self.stop {
            // An error in the next chunk is returned by the next call.
            let Ok(next) = self.chunk(chunks, run.logical + run.len) else {
                break;
            };
            if !follows(&run, &next) {
                break;
            }
            run.len += next.len;
        }
        Ok(run)
    }
}

impl<D: ReadAt> Iterator for Extents<'_, D> {
    type Item = Result<Extent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.logical >= self.stop {
            return None;
        }
        let extent = match self.chunks {
            Some(chunks) => self.chunk_run(chunks),
            None => self.flat(),
        };
        match &extent {
            Ok(extent) => self.logical = extent.logical + extent.len,
            Err(_) => self.failed = true,
        }
        Some(extent)
    }
}

/// Returns whether `next` continues `run`.
fn follows(run: &Extent, next: &Extent) -> bool {
    match (run.place, next.place) {
        (Place::Hole, Place::Hole) => true,
        (
            Place::Device { device_id, offset },
            Place::Device {
                device_id: next_id,
                offset: next_offset,
            },
        ) => device_id == next_id && offset + run.len == next_offset,
        _ => false,
    }
}
