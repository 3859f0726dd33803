"""Words that turn a sentence around: opposites, words for all and for some, and hedges.

The groundedness guard looks them up. English only, and far from complete: what is not here is decided by the
other checks, or by a model.
"""

from __future__ import annotations

from guardflow.guards.kit.wordset import word_set

UNIVERSAL = word_set(
    "all every always each entirely completely fully everyone everything everywhere alle immer jeder tous toujours todos siempre"
)
PARTIAL = word_set(
    "some most many few several often sometimes usually mostly partly partially largely nearly almost rarely occasionally"
)
HEDGES = word_set("""
    may might could would should if unless only until provided except excluding possibly perhaps probably likely allegedly reportedly apparently suggests
    suggest suggested claims claimed alleges alleged denies denied proposed proposes plans planned expects expected hopes
    aims considers considering believes believed rumoured rumored wants unconfirmed unclear
    vielleicht möglicherweise könnte soll sollte wohl angeblich falls peut-être podría
""")

_PAIRS = """
    increase|increases|increased|increasing|rise|rises|rose|risen|rising|grow|grows|grew|grown|growing|climbed|gained/decrease|decreases|decreased|decreasing|fall|falls|fell|fallen|falling|decline|declines|declined|shrink|shrinks|shrank|drop|drops|dropped|lost
    raise|raises|raised/lower|lowers|lowered|cut|cuts|reduced|reduces
    up|upward/down|downward
    more|greater/less|fewer|smaller
    higher|high|highest/lower|low|lowest
    above|over|exceeds|exceeded/below|under
    maximum|max|most/minimum|min|least
    before|prior/after|since
    until/after|from
    first|earliest|oldest/last|latest|newest
    largest|biggest|longest|tallest/smallest|shortest
    best/worst
    better/worse
    early|earlier/late|later
    enable|enables|enabled|on/disable|disables|disabled|off
    allow|allows|allowed|permits|permitted/deny|denies|denied|forbid|forbids|forbidden|prohibits|prohibited|bans|banned
    accept|accepts|accepted|approve|approves|approved/reject|rejects|rejected|refuses|refused
    open|opens|opened/close|closes|closed|shut
    start|starts|started|begin|begins|began|starting/stop|stops|stopped|end|ends|ended|finished
    include|includes|included|including/exclude|excludes|excluded|excluding
    win|wins|won/lose|loses|lost
    succeed|succeeds|succeeded|success|successful/fail|fails|failed|failure
    buy|buys|bought|acquired/sell|sells|sold
    import|imports|imported/export|exports|exported
    add|adds|added/remove|removes|removed|delete|deletes|deleted
    required|mandatory|compulsory/optional|voluntary
    public/private
    internal/external
    safe|secure/dangerous|unsafe|insecure|vulnerable
    true/false
    positive/negative
    profit|gain|surplus/loss|deficit
    hot|warm|warmer/cold|cool|cooler
    fast|faster|quick|quicker/slow|slower
    cheap|cheaper/expensive|dearer
    old|older/new|newer|young|younger
    strong|stronger/weak|weaker
    support|supports|supported|supporting/oppose|opposes|opposed|opposing
    agree|agrees|agreed/disagree|disagrees|disagreed
    north|northern/south|southern
    east|eastern/west|western
    left/right
    morning/evening
    permanent|permanently/temporary|temporarily
    manual|manually/automatic|automatically
    synchronous/asynchronous
    free/paid
    encrypted/unencrypted|plaintext
    guilty/innocent
    alive/dead
    hired/fired
    improve|improves|improved/worsen|worsens|worsened|deteriorated
    daily/weekly|monthly|yearly|annually
    weekly/monthly|yearly|annually
    monthly/yearly|annually
    mehr/weniger
    gestiegen|stieg|steigt/gesunken|sank|sinkt|gefallen
"""


def _opposites() -> dict[str, frozenset[str]]:
    table: dict[str, frozenset[str]] = {}
    for line in _PAIRS.split():
        one, other = (frozenset(side.split("|")) for side in line.split("/"))
        for side, against in ((one, other), (other, one)):
            for word in side:
                table[word] = table.get(word, frozenset()) | against
    return table


_TABLE = _opposites()
_PREFIXES = ("un", "in", "im", "ir", "non", "dis", "de")


def opposites(word: str) -> frozenset[str]:
    """The words that say the contrary of a word: from the table, and by a prefix.

    >>> "closed" in opposites("open"), "safe" in opposites("unsafe"), "unstable" in opposites("stable")
    (True, True, True)
    """
    found = _TABLE.get(word, frozenset())
    bare = {
        word.removeprefix(p).lstrip("-") for p in _PREFIXES if word.startswith(p) and len(word) - len(p) >= 4
    }
    made = {p + word for p in _PREFIXES} if len(word) >= 4 else set[str]()
    return found | bare | made
