//! Reads the map of a sparse file before its entry is delivered.

use super::super::{
    EntryName, Limit, PushError, SparseFault, TarError,
    header::{self, Block, RawHeader},
    sparse::{self, MapReader, PaxMap},
};
use super::{State, TarParser, TarSink};
use tokio_tar::EntryType;

impl TarParser {
    /// Detects whether the entry is sparse, and reads the part of its map that the headers contain.
    pub(super) fn start_sparse<S: TarSink>(
        &mut self,
        header: &RawHeader<'_>,
        has_data: bool,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        if header.entry_type() == EntryType::GNUSparse {
            let Some(gnu) = header.gnu_sparse() else {
                return Err(self.sparse_error(SparseFault::NotGnu).into());
            };
            self.meta.is_sparse = true;
            self.meta.size = gnu.real_size().map_err(|fault| self.sparse_error(fault))?;
            self.extents.clear();
            sparse::read_slots(gnu.slots, &mut self.extents)
                .map_err(|fault| self.sparse_error(fault))?;
            if gnu.is_extended {
                let slots = gnu.slots.len() as u64;
                self.state = State::SparseBlock { slots };
                return Ok(());
            }
            return self.start_entry(sink);
        }
        let sparse = &self.extensions.local.sparse;
        let map = sparse.map().map_err(|fault| self.sparse_error(fault))?;
        if map == PaxMap::None {
            return self.start_entry(sink);
        }
        if !has_data {
            return Err(self.sparse_error(SparseFault::NoData).into());
        }
        let Some(size) = sparse.full_size() else {
            return Err(self.sparse_error(SparseFault::NoSize).into());
        };
        self.meta.size = size;
        self.meta.is_sparse = true;
        self.extensions.local.take_extents(&mut self.extents);
        if map == PaxMap::Payload {
            self.extents.clear();
            self.state = State::SparseMap(MapReader::default());
            return Ok(());
        }
        let count = self.extents.len() as u64;
        if count > self.limits.sparse_extents {
            return Err(self.too_many_extents(count).into());
        }
        self.start_entry(sink)
    }

    pub(super) fn on_sparse_block<S: TarSink>(
        &mut self,
        block: &Block,
        slots: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        let map = header::extended_sparse(block);
        let slots = slots + map.sparse.len() as u64;
        if slots > self.limits.sparse_extents {
            return Err(self.too_many_extents(slots).into());
        }
        sparse::read_slots(&map.sparse, &mut self.extents)
            .map_err(|fault| self.sparse_error(fault))?;
        if map.isextended[0] != 0 {
            self.state = State::SparseBlock { slots };
            return Ok(());
        }
        self.start_entry(sink)
    }

    pub(super) fn sparse_error(&self, fault: SparseFault) -> TarError {
        TarError::Sparse {
            offset: self.meta.offset,
            entry: EntryName::new(&self.path),
            fault,
        }
    }

    pub(super) fn too_many_extents(&self, actual: u64) -> TarError {
        self.too_large(Limit::SparseExtents, self.limits.sparse_extents, actual)
    }
}
