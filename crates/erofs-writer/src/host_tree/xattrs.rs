use std::path::Path;

use erofs_format::XattrNamespace;
use rustix::fs::{lgetxattr, llistxattr};

use super::{Omitted, failed};
use crate::error::HostOperation;
use crate::{Attributes, Error};

/// The largest list of names and the largest value that Linux returns (`XATTR_LIST_MAX`, `XATTR_SIZE_MAX`).
const MAX_BYTES: usize = 64 << 10;

/// Adds the extended attributes of a file, not following symbolic links. Those that EROFS cannot hold go to `omitted`.
pub(super) fn add(
    mut attributes: Attributes,
    host: &Path,
    omitted: &mut Vec<Omitted>,
) -> Result<Attributes, Error> {
    let mut names = vec![0; MAX_BYTES];
    let len = match llistxattr(host, &mut names[..]) {
        Ok(0) | Err(rustix::io::Errno::NOTSUP) => return Ok(attributes),
        Ok(len) => len,
        Err(errno) => return Err(failed(host, HostOperation::ListXattrs)(errno.into())),
    };
    let mut value = vec![0; MAX_BYTES];
    for name in names[..len].split(|&byte| byte == 0) {
        if name.is_empty() {
            continue;
        }
        if XattrNamespace::split(name).is_none() {
            omitted.push(Omitted::Xattr {
                path: host.into(),
                name: name.to_vec(),
            });
            continue;
        }
        let len = lgetxattr(host, name, &mut value[..])
            .map_err(|errno| failed(host, HostOperation::ReadXattr)(errno.into()))?;
        attributes = attributes.xattr(name, &value[..len]);
    }
    Ok(attributes)
}
