//! Where the data of a sparse file belongs.

/// Data segments as (offset, length), in order and without overlap; what lies between is a hole.
pub(super) type Map = Vec<(u64, u64)>;

/// Checks that a map holds `stored` bytes in all and stays inside a file of `real` bytes.
pub(super) fn check(map: &Map, stored: u64, real: u64) -> Result<(), String> {
    let mut end = 0u64;
    let mut sum = 0u64;
    for (offset, length) in map {
        let next = offset.checked_add(*length).filter(|next| *offset >= end && *next <= real);
        end = next.ok_or("has a sparse map that overlaps or leaves the file")?;
        sum += length;
    }
    if sum == stored { Ok(()) } else { Err("has a sparse map that does not match its data".to_owned()) }
}

/// Pairs up the numbers of forms 0.1 and 1.0.
pub(super) fn pair(numbers: &[u64]) -> Option<Map> {
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_stay_in_order_and_inside() {
        assert!(check(&vec![(0, 5), (10, 5), (20, 0)], 10, 20).is_ok());
        assert!(check(&vec![(0, 5), (4, 5)], 10, 20).is_err());
        assert!(check(&vec![(0, 5), (u64::MAX, 5)], 10, 20).is_err());
        assert!(check(&vec![(18, 5)], 5, 20).is_err());
        assert!(check(&vec![(0, 5)], 4, 20).is_err());
        assert_eq!(pair(&[1, 2, 3]), None);
    }
}
