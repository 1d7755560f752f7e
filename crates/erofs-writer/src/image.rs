use std::io::{Seek, Write};

use erofs_format::{BLOCK_SIZE, Crc32c, Feature, KernelVersion, MAX_EXTRA_DEVICES};
use fs_tree::Tree;

use crate::chunks::Bounds;
use crate::output::Output;
use crate::plan::Plan;
use crate::{Error, InlineData, Options, emit};

/// Writes one image: data as it comes, then the metadata.
///
/// A file's data is an *extent*: [`begin`](Self::begin) says where it will lie, [`write`](Self::write) takes the bytes,
/// [`end`](Self::end) fills the last block up. The offset and the sum go into the tree that [`finish`](Self::finish) takes.
#[derive(Debug)]
pub struct ImageWriter<W> {
    output: Output<W>,
    options: Options,
    extent: Extent,
}

#[derive(Clone, Copy, Debug)]
struct Extent {
    offset: u64,
    /// The sum of all bytes before it.
    before: Crc32c,
}

/// An extent that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it begins, in bytes from the start of the image: a whole number of blocks.
    pub offset: u64,
    /// Its length in bytes, without what fills its last block up.
    pub len: u64,
    /// The sum of its bytes.
    pub crc32c: Crc32c,
}

/// An image that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its length in blocks of 4096 bytes.
    pub blocks: u32,
    /// Its inodes.
    pub inodes: u64,
    /// The sum of all of its bytes.
    pub crc32c: Crc32c,
    /// The oldest kernel that reads it: what it needs, not what was declared.
    pub minimum_kernel: KernelVersion,
}

impl Written {
    /// The image's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * u64::from(BLOCK_SIZE)
    }
}

impl<W: Write + Seek> ImageWriter<W> {
    /// Begins an image at the start of `output`, which is empty.
    ///
    /// # Errors
    /// [`Error::TooManyDevices`], [`Error::DeviceTag`], [`Error::Kernel`], [`Error::Write`].
    pub fn new(output: W, options: Options) -> Result<Self, Error> {
        if options.devices.len() > MAX_EXTRA_DEVICES {
            return Err(Error::TooManyDevices {
                count: options.devices.len(),
                limit: MAX_EXTRA_DEVICES,
            });
        }
        for (device, device_id) in options.devices.iter().zip(1..) {
            if !(1..=64).contains(&device.tag.len()) {
                return Err(Error::DeviceTag {
                    device_id,
                    len: device.tag.len(),
                });
            }
        }
        let feature = Feature::DeviceTable;
        if !options.devices.is_empty() && feature.minimum_kernel() > options.minimum_kernel {
            return Err(Error::Kernel {
                feature,
                needed: feature.minimum_kernel(),
                declared: options.minimum_kernel,
            });
        }
        let mut output = Output::new(output, emit::head_bytes(options.devices.len()))?;
        let extent = Extent {
            offset: output.position(),
            before: output.checksum(),
        };
        Ok(Self {
            output,
            options,
            extent,
        })
    }

    /// How long the image is so far, in bytes.
    pub fn position(&self) -> u64 {
        self.output.position()
    }

    /// Begins an extent and gives its offset in bytes, a whole number of blocks.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::ImageTooLarge`].
    pub fn begin(&mut self) -> Result<u64, Error> {
        self.output.pad_to_block()?;
        self.extent = Extent {
            offset: self.output.position(),
            before: self.output.checksum(),
        };
        Ok(self.extent.offset)
    }

    /// Takes the extent's next bytes.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.output.write(bytes)
    }

    /// Ends the extent.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::ImageTooLarge`].
    pub fn end(&mut self) -> Result<Stored, Error> {
        let Extent { offset, before } = self.extent;
        let len = self.output.position() - offset;
        let crc32c = self.output.checksum().since(before, len);
        self.output.pad_to_block()?;
        Ok(Stored {
            offset,
            len,
            crc32c,
        })
    }

    /// Writes the metadata of `tree`, then the superblock, and gives the output back, not yet synced.
    ///
    /// Files on device 0 point at extents written before. Whiteouts become character devices 0:0 and opaque directories get
    /// the xattr `trusted.overlay.opaque`, as overlayfs reads them.
    ///
    /// # Errors
    /// See [`Error`]. All but [`Error::Write`] and [`Error::ReadInline`] are found before any metadata is written.
    pub fn finish(self, tree: &Tree, inline: &mut dyn InlineData) -> Result<(Written, W), Error> {
        self.plan(tree)?.write(inline)
    }

    /// The first half of [`finish`](Self::finish): decides where the metadata goes, and so how long the image will be.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn plan(mut self, tree: &Tree) -> Result<PlannedImage<'_, W>, Error> {
        let bounds = Bounds {
            data_end: self.output.pad_to_block()?,
            devices: &self.options.devices,
            minimum_kernel: self.options.minimum_kernel,
        };
        let plan = Plan::new(tree, bounds, self.options.fixed_time)?;
        Ok(PlannedImage {
            blocks: plan.end_block().ok_or(Error::ImageTooLarge)?,
            output: self.output,
            options: self.options,
            tree,
            plan,
        })
    }
}

/// An image whose metadata has its places, and only has to be written.
#[derive(Debug)]
pub struct PlannedImage<'t, W> {
    output: Output<W>,
    options: Options,
    tree: &'t Tree,
    plan: Plan<'t>,
    blocks: u32,
}

impl<W: Write + Seek> PlannedImage<'_, W> {
    /// How long the image will be, in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * u64::from(BLOCK_SIZE)
    }

    /// The second half of [`ImageWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::ReadInline`], [`Error::Unplanned`].
    pub fn write(mut self, inline: &mut dyn InlineData) -> Result<(Written, W), Error> {
        let bounds = Bounds {
            data_end: self.plan.meta_blkaddr,
            devices: &self.options.devices,
            minimum_kernel: self.options.minimum_kernel,
        };
        emit::metadata(&mut self.output, self.tree, &self.plan, bounds, inline)?;
        let blocks = self.output.pad_to_block()?;
        if blocks != self.blocks {
            return Err(Error::Unplanned {
                planned: self.blocks,
                written: blocks,
            });
        }
        let head = emit::head(&self.options, &self.plan, blocks)?;
        let (output, crc32c) = self.output.finish(&head)?;
        let needed = Feature::of(emit::incompat(&self.options, &self.plan))
            .map(Feature::minimum_kernel)
            .fold(KernelVersion::BASE, Ord::max);
        Ok((
            Written {
                blocks,
                inodes: self.plan.inode_count(),
                crc32c,
                minimum_kernel: needed,
            },
            output,
        ))
    }
}
