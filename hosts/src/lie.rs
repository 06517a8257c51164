//! Maps of headers that are not well-formed: what a host hands over does not fit what it says of it.

/// How a map is told that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Every third octet is another one.
    Garbage,
    /// So many octets are left of it.
    Cut(usize),
    /// An octet comes after it.
    Longer,
    /// It has so many pairs, it says.
    Count(u32),
    /// It has one pair less, it says.
    OneLess,
    /// It has one pair more, it says.
    OneMore,
    /// The text of this number is so long, it says: names and values are counted together.
    Length(usize, u32),
    /// The first octet after the text of this number is its own, it says, and the next text is shorter by it.
    Shift(usize),
    /// After the text of this number there is no NUL.
    NoEnd(usize),
    /// The text of this number is not UTF-8.
    NoText(usize),
}

/// Where the number of pairs is.
const COUNT: usize = 0;

fn number(octets: &[u8], at: usize) -> u32 {
    let four = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
    u32::from_le_bytes(four.expect("a number"))
}

fn set(octets: &mut [u8], at: usize, number: u32) {
    octets[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// Where the length of a text is.
fn length(text: usize) -> usize {
    4 + text * 4
}

/// Where a text begins.
fn start(octets: &[u8], text: usize) -> usize {
    let texts = number(octets, COUNT) as usize * 2;
    let before = (0..text).map(|text| number(octets, length(text)) as usize + 1);
    length(texts) + before.sum::<usize>()
}

impl Lie {
    /// Tells `octets`, which are a map, in this way.
    pub(crate) fn tell(self, octets: &mut Vec<u8>) {
        let pairs = number(octets, COUNT);
        match self {
            Self::Garbage => octets
                .iter_mut()
                .step_by(3)
                .for_each(|octet| *octet ^= 0xff),
            Self::Cut(left) => octets.truncate(left),
            Self::Longer => octets.push(0),
            Self::Count(pairs) => set(octets, COUNT, pairs),
            Self::OneLess => set(octets, COUNT, pairs - 1),
            Self::OneMore => set(octets, COUNT, pairs + 1),
            Self::Length(text, is) => set(octets, length(text), is),
            Self::Shift(text) => {
                let [own, next] = [text, text + 1].map(|text| number(octets, length(text)));
                set(octets, length(text), own + 1);
                set(octets, length(text + 1), next - 1);
            }
            Self::NoEnd(text) => {
                let end = start(octets, text + 1) - 1;
                octets[end] = b'x';
            }
            Self::NoText(text) => {
                let start = start(octets, text);
                octets[start] = 0xff;
            }
        }
    }
}
