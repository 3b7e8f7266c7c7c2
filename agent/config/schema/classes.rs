//! Classes of characters, for the patterns. JavaScript's and Rust's own differ in what is blank.

macro_rules! control {
    () => {
        r"\u0000-\u001f\u007f-\u009f"
    };
}
macro_rules! control_or_blank {
    () => {
        r"\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    };
}
// Signs that a tag can't have. Python's patterns have no classes of Unicode, and JavaScript's have them with the flag u only.
// So signs of the less common blocks are left to the parser.
macro_rules! no_tag {
    () => {
        r"\u0000-\u001f!-*,;<>?\[-^`{-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u1680\u2000-\u206f\u2190-\u245f\u2500-\u2775\u3000-\u3004\ue000-\uf8ff"
    };
}
