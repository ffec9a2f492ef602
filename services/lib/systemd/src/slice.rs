//! The cgroups of slices: `a-b.slice` is in `a.slice` (systemd.slice(5)).

/// The slice's cgroup path from the root of the hierarchy; `None` if the name is not a slice's.
pub fn path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    if name.contains('/') || name.split('-').any(str::is_empty) {
        return None;
    }
    let mut path = String::new();
    for (end, _) in name.match_indices('-').chain([(name.len(), "")]) {
        path = format!("{path}/{}.slice", &name[..end]);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dash_leads_one_down() {
        assert_eq!(path("system.slice").as_deref(), Some("/system.slice"));
        assert_eq!(path("a-b-c.slice").as_deref(), Some("/a.slice/a-b.slice/a-b-c.slice"));
        assert_eq!(path("-.slice").as_deref(), Some(""));
        for wrong in ["system", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice"] {
            assert_eq!(path(wrong), None, "{wrong}");
        }
    }
}
