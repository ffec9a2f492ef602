//! Shell patterns over names, as Docker's `reference` filter has them: `*` and `?` do not cross a `/`, `[a-z]` and
//! `[^a-z]` are classes, `\` takes the next character as it is.

/// Whether `text` matches the whole of `pattern`. A broken pattern matches nothing.
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    walk(&pattern, &text)
}

/// Whether a pattern has no class that is not closed, and nothing missing behind a backslash.
pub fn is_valid(pattern: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while at < pattern.len() {
        match single(&pattern[at..], ' ') {
            Some((length, _)) => at += length,
            None => return false,
        }
    }
    true
}

/// Backtracks only to the last star, so that hostile patterns stay cheap.
fn walk(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() || p < pattern.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, t));
            p += 1;
            continue;
        }
        if let (Some(&character), true) = (text.get(t), p < pattern.len())
            && let Some((length, true)) = single(&pattern[p..], character)
        {
            p += length;
            t += 1;
            continue;
        }
        match star {
            // The star takes one character more, unless that is a slash.
            Some((at, taken)) if taken < text.len() && text[taken] != '/' => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            _ => return false,
        }
    }
    true
}

/// The length of the pattern's first element, and whether it takes `character`.
fn single(pattern: &[char], character: char) -> Option<(usize, bool)> {
    match pattern.first()? {
        '?' => Some((1, character != '/')),
        '\\' => pattern.get(1).map(|escaped| (2, *escaped == character)),
        '[' => class(pattern, character),
        literal => Some((1, *literal == character)),
    }
}

fn class(pattern: &[char], character: char) -> Option<(usize, bool)> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&'^');
    at += usize::from(negated);
    let mut hit = false;
    let first = at;
    loop {
        let low = *pattern.get(at)?;
        if low == ']' && at > first {
            return Some((at + 1, hit != negated && character != '/'));
        }
        let (low, next) = if low == '\\' { (*pattern.get(at + 1)?, at + 2) } else { (low, at + 1) };
        at = next;
        let mut high = low;
        if pattern.get(at) == Some(&'-') && pattern.get(at + 1).is_some_and(|end| *end != ']') {
            high = *pattern.get(at + 1)?;
            at += 2;
        }
        hit |= (low..=high).contains(&character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_patterns_are_known() {
        for (pattern, valid) in
            [("a*[b-c]?", true), ("", true), ("[", false), ("a[b", false), ("[]", false), ("a\\", false)]
        {
            assert_eq!(is_valid(pattern), valid, "{pattern}");
        }
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("busybox", "busybox", true),
            ("busy*", "busybox:1.36", true),
            ("*", "a/b", false),
            ("*/*", "a/b", true),
            ("*:latest", "a:latest", true),
            ("b?sybox", "busybox", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[", "[", false),
            ("\\*", "*", true),
            ("a*b*c", "aXbYbZc", true),
            ("", "", true),
            ("a", "", false),
            ("*a", "", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        assert!(!matches(&"*a".repeat(40), &"b".repeat(4000)));
    }
}
