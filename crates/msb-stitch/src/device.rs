use std::fmt;
use std::num::NonZeroU16;
use std::ops::{Index, IndexMut};

/// The place of a layer image in the device table of the disk, from 1. Device 0 is fsmeta itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(NonZeroU16);

impl DeviceId {
    /// Returns the device with this number; `None` for 0, which is no layer.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number, from 1, as chunk indexes and device slots have it.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// Returns the place among the layers, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.get()) - 1
    }

    /// Returns the device at a place among the layers, from 0; `None` if a device table has no such slot.
    pub(crate) fn at(index: usize) -> Option<Self> {
        let number = index.checked_add(1)?;
        Self::new(u16::try_from(number).ok()?)
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One value for each device of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerDevice<T>(Vec<T>);

impl<T> PerDevice<T> {
    /// Returns the values in the order of the devices.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter()
    }

    /// Returns the devices with their values, in order.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &T)> {
        let values = self.0.iter().enumerate();
        values.filter_map(|(index, value)| Some((DeviceId::at(index)?, value)))
    }

    /// Returns the value of a device; `None` for a device that the disk does not have.
    #[must_use]
    pub fn get(&self, device: DeviceId) -> Option<&T> {
        self.0.get(device.index())
    }

    /// Returns the number of devices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the disk has no devices.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T> FromIterator<T> for PerDevice<T> {
    /// Collects values in the order of the devices.
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T> IntoIterator for PerDevice<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T> Index<DeviceId> for PerDevice<T> {
    type Output = T;

    /// Returns the value of a device.
    ///
    /// # Panics
    /// For a device that the disk does not have.
    fn index(&self, device: DeviceId) -> &T {
        &self.0[device.index()]
    }
}

impl<T> IndexMut<DeviceId> for PerDevice<T> {
    fn index_mut(&mut self, device: DeviceId) -> &mut T {
        &mut self.0[device.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_numbered_from_1_to_65535() {
        assert_eq!(DeviceId::new(0), None);
        assert_eq!(DeviceId::at(0), DeviceId::new(1));
        assert_eq!(DeviceId::at(65_534), DeviceId::new(65_535));
        assert_eq!(DeviceId::at(65_535), None);
        assert_eq!(DeviceId::at(usize::MAX), None);
        let values: PerDevice<u8> = [7, 8].into_iter().collect();
        let second = DeviceId::new(2).unwrap();
        assert_eq!((second.index(), values[second]), (1, 8));
        assert_eq!(values.get(DeviceId::new(3).unwrap()), None);
        assert_eq!(values.devices().last(), Some((second, &8)));
    }
}
