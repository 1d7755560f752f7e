use std::fs::File;

use msb_stitch::vmdk::{Descriptor, VmdkError};

use crate::cache::open_file::open_file;
use crate::{DiskExtent, InspectError, PullResult};

impl PullResult {
    /// Returns the text of a VMDK descriptor in which the files of the disk have the names that `name` returns, by their place on the disk
    /// and the file itself.
    ///
    /// The descriptor at [`vmdk`](Self::vmdk) has relative names, and needs none of this. Other names are for a hypervisor that
    /// receives the files open, such as `/dev/fdset/1` for QEMU, or for a descriptor that lies outside of the cache.
    ///
    /// # Errors
    /// [`VmdkError::FileName`] for a name that a descriptor cannot hold, [`VmdkError::TooLong`].
    pub fn descriptor_with_names(
        &self,
        mut name: impl FnMut(usize, &DiskExtent) -> String,
    ) -> Result<String, VmdkError> {
        let files = self.extents.iter().enumerate();
        Descriptor::of_files(files.map(|(place, extent)| (name(place, extent), extent.bytes)))
            .render()
    }

    /// Opens the files of the disk for reading, in the order of the disk. No directory of the cache is followed through a link.
    /// Blocks on file I/O.
    ///
    /// # Errors
    /// [`InspectError::Read`] for a file that cannot be opened, [`InspectError::ArtifactLength`] for one whose length has
    /// changed.
    pub fn open_extents(&self) -> Result<Vec<File>, InspectError> {
        self.extents.iter().map(DiskExtent::open).collect()
    }
}

impl DiskExtent {
    /// Opens the file for reading, and compares its length.
    pub(crate) fn open(&self) -> Result<File, InspectError> {
        let read_error = |source| InspectError::Read {
            path: self.path.clone(),
            source,
        };
        let file = open_file(&self.path).map_err(read_error)?;
        let actual = file.metadata().map_err(read_error)?.len();
        if actual == self.bytes {
            return Ok(file);
        }
        Err(InspectError::ArtifactLength {
            path: self.path.clone(),
            expected: self.bytes,
            actual,
        })
    }
}
