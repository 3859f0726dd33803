"""Which language a text is written in: by its script, and by the small words that no sentence does without.

`language` guards answers with it. No model and no download: it knows the languages of `LANGUAGES`, says nothing
of a text too short to tell, and does not tell dialects apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.kit.text import strip_invisible
from guardflow.guards.paths import texts
from guardflow.values import Finding

_SMALL_WORDS = {
    "en": "the of and to in is that it for was on are with as be this have from or by not but they which you we an were "
    "has their been will would there can what when who if more about into than its also these he she his her how should "
    "i my your do does our any all at so no one only after before between while because could may use",
    "de": "der die das und ist nicht ein eine einen dem den des mit auf für von zu im sich auch es er sie wir ihr ich "
    "wird werden wurde wurden hat haben sind als an aus bei nach noch nur oder über wie zum zur durch kann dass aber "
    "wenn man diese dieser dieses sein seine mehr um vor einem einer bis",
    "fr": "le la les des et est une un du que qui dans pour pas sur au aux avec par plus ce cette ces sont il elle nous "
    "vous ne se en être ont mais ou leur son sa ses même été fait comme tout d l qu n c s où je de peut",
    "es": "el la los las de y que en un una es por con para no se del al lo como más pero sus su le ya este esta está son "
    "fue han hay muy también cuando sobre entre sin desde ser todo yo nos si o porque hasta puede",
    "pt": "o a os as de e que em um uma é por com para não se do da dos das no na nos nas ao mais mas seu sua como foi "
    "são ser tem também pelo pela está isso este esta quando muito já entre sem até ou eu você pode às à",
    "it": "il la lo gli i le di e che è un una in per con non si del della dei delle dal dalla nel nella al alla come più "
    "ma sono anche questo questa ha hanno essere era sul sulla ed o se quando molto suo sua tra fra ci può",
    "nl": "de het een en van is dat in op te niet zijn voor met die aan er maar om ook als bij door naar dan wordt "
    "worden werd heeft hebben deze dit nog wel uit over zou kan meer geen of hij zij wij ik je tot wat hun moet moest moesten één twee mensen veel jaar",
    "sv": "och att det som en på är av för med till den har de inte om ett men var jag sig från vi så kan nu när efter "
    "eller hade där vid mot ska också detta denna dessa blir ut in mycket mer sina han hon skulle måste",
    "da": "og at det som en på er af for med til den har de ikke om et men var jeg sig fra vi så kan nu når efter eller "
    "havde der ved mod skal også dette denne disse bliver ud ind meget mere sine han hun skulle blev hvad nogle være",
    "no": "og at det som en på er av for med til den har de ikke om et men var jeg seg fra vi så kan nå når etter eller "
    "hadde der ved mot skal også dette denne disse blir ut inn mye mer sine han hun skulle ble hva noen være",
    "fi": "ja on ei se että oli ovat hän mutta myös kun niin kuin joka jonka tai ole olla voi sen ne tämä tämän mukaan "
    "sekä jos vain enemmän nyt jo vielä hänen he minä sitä siitä kanssa jälkeen ennen ovat eivät",
    "pl": "i w na z się nie to jest do że o jak ale za po od dla są przez był była było ich jego jej może oraz tak który "
    "która które już tylko czy przy co tego ten ta przed jako ze być także bardzo gdy jeśli",
    "cs": "a je se na v že to s z do o jsou i ale by pro jako byl byla bylo jeho její jejich který která které také ve "
    "po při od už jen však až nebo jsem není podle tak než když být může si",
    "tr": "bir ve bu da de için ile çok daha olarak olan gibi kadar sonra ne o en ama değil var her ben sen biz onlar "
    "ise ya veya göre ancak olduğu oldu olduğunu tarafından hem mi mı şu ki bile",
    "ro": "și de la în a cu pe nu că este o un din care pentru sunt mai al ale să se ca fi au fost sau prin după dar lui "
    "ei este acest această cel cea între când foarte fără despre poate îi îl le",
    "hu": "a az és hogy nem is egy van volt meg de csak ez el már még mint vagy ha be ki le mert több után kell lehet "
    "minden azt ezt aki amely szerint között voltak azonban pedig sem így vannak",
    "id": "yang dan di ini itu dengan untuk dari pada adalah tidak dalam akan ke oleh juga karena atau ada telah dapat "
    "saya kami kita mereka bisa lebih sudah sebagai tersebut seperti bahwa harus",
    "ru": "и в не на что с по это как к но из у за от о для так же все бы он она они его её было был была быть мы вы я "
    "или также который которые при если после до только уже еще ещё может их когда этот эта нет",
    "uk": "і в не на що з по це як до але із за від про для так ж все би він вона вони його її було був була бути ми ви "
    "або також який які при якщо після тільки вже ще може їх коли цей ця та й є у немає",
    "bg": "и в не на че с по това като към но от за да се е са той тя те го беше бил била бъде ние вие аз или също който "
    "които при ако след до само вече още може им когато този тази със във няма",
}
_LETTERS = {
    "de": "ß", "es": "ñ¿¡", "pt": "ãõ", "pl": "łąężźśćń", "cs": "ěřůťď", "tr": "ğış", "ro": "ățșţ", "hu": "őű",
    "sv": "å", "da": "øæå", "no": "øæå", "fr": "çœèêëîû", "uk": "іїєґ", "ru": "ыэё", "bg": "ъ",
}  # fmt: skip
_ENDINGS = {
    "fi": "ssa ssä sta stä lla llä lta ltä iin nen een ään aan vat vät ista isiä ksi maan mään den tiin",
    "hu": "nak nek ban ben ból ből hoz hez ság ség okat eket tak tek ott ett val vel ják ása ése ának",
    "tr": "ları leri lar ler mak mek dır dir tır tir ını ini dan den yor acak ecek mış miş sını sini lık",
    "id": "kan nya",
    "ru": "лось лась ться ого ых ами",
    "bg": "ите ата ята ът хме",
}

_NAMES = {
    "en": "English", "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian",
    "nl": "Dutch", "sv": "Swedish", "da": "Danish", "no": "Norwegian", "fi": "Finnish", "pl": "Polish",
    "cs": "Czech", "tr": "Turkish", "ro": "Romanian", "hu": "Hungarian", "id": "Indonesian", "ru": "Russian",
    "uk": "Ukrainian", "bg": "Bulgarian", "el": "Greek", "he": "Hebrew", "ar": "Arabic", "fa": "Persian",
    "hi": "Hindi", "th": "Thai", "ko": "Korean", "ja": "Japanese", "zh": "Chinese",
}  # fmt: skip
LANGUAGES = frozenset(_NAMES)
"""The languages it tells apart, by their codes of ISO 639-1; Norwegian, in both its forms, is ``no``."""

_BY_WORD: dict[str, list[str]] = defaultdict(list)
for _code, _words in _SMALL_WORDS.items():
    for _word in dict.fromkeys(_words.split()):
        _BY_WORD[_word].append(_code)
_BY_LETTER: dict[str, list[str]] = defaultdict(list)
for _code, _letters in _LETTERS.items():
    for _letter in _letters:
        _BY_LETTER[_letter].append(_code)
_BY_ENDING = {ending: code for code, endings in _ENDINGS.items() for ending in endings.split()}
_CYRILLIC = frozenset(("ru", "uk", "bg"))

_SCRIPTS = {
    "latin": re.compile(r"[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]"),
    "cyrillic": re.compile(r"[\u0400-\u052f]"),
    "el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "ar": re.compile(r"[\u0600-\u06ff\u0750-\u077f]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
    "ko": re.compile(r"[\u1100-\u11ff\uac00-\ud7af]"),
    "kana": re.compile(r"[\u3040-\u30ff]"),
    "han": re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]"),
}
_DENSE = frozenset(("ko", "kana", "han", "th"))
"""Scripts that say in a letter what others say in several."""
_PERSIAN = re.compile("[پچژگک\u06cc]")
_WORD = re.compile(r"[^\W\d_]+")
_NO_PROSE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]{1,200}`|\bhttps?://\S+|<[^<>\n]{1,200}>", re.DOTALL)
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")


class Guess(NamedTuple):
    """The language a text seems to be in, None if that cannot be told, and how many words say so."""

    language: str | None
    words: int


def guess_language(text: str) -> Guess:
    """The language of a text that is in one language.

    >>> guess_language("Das ist nicht der Text, den wir wollten.").language
    'de'
    >>> guess_language("OK, 42 GB")
    Guess(language=None, words=2)
    """
    words = _WORD.findall(unicodedata.normalize("NFC", strip_invisible(text)).lower())
    letters = "".join(words)
    counts = {name: len(script.findall(letters)) for name, script in _SCRIPTS.items()}
    script = max(counts, key=lambda name: counts[name] * (3 if name in _DENSE else 1))
    if not letters or not counts[script]:
        return Guess(None, len(words))
    if script in {"kana", "han"}:
        both = counts["kana"] + counts["han"]
        return Guess(None if both < 4 else "ja" if counts["kana"] > 0.08 * both else "zh", both // 2)
    if script == "ar":
        persian = len(_PERSIAN.findall(letters)) > 0.03 * counts["ar"]
        return Guess("fa" if persian else "ar", len(words)) if len(words) > 1 else Guess(None, len(words))
    if script not in {"latin", "cyrillic"}:
        return Guess(script if counts[script] >= 4 else None, max(len(words), counts[script] // 4))
    scores = _scores(words, cyrillic=script == "cyrillic")
    ranked = sorted(((score, code) for code, score in scores.items()), reverse=True)
    (score, best), (second, _) = (*ranked[:2], (0.0, ""), (0.0, ""))[:2]
    sure = score >= max(1.2, 0.1 * len(words)) and score >= 1.2 * second
    return Guess(best if sure else None, len(words))


def _scores(words: list[str], *, cyrillic: bool) -> dict[str, float]:
    scores: dict[str, float] = defaultdict(float)
    for word in words:
        for code in (known := _BY_WORD.get(word, ())):
            scores[code] += 1 / len(known) ** 0.5
        for letter in set(word) & _BY_LETTER.keys():
            for code in _BY_LETTER[letter]:
                scores[code] += 0.6 / len(_BY_LETTER[letter])
        if len(word) > 5:
            ending = next((code for n in (4, 3, 2) if (code := _BY_ENDING.get(word[-n:]))), None)
            if ending is not None:
                scores[ending] += 0.3
    return {code: score for code, score in scores.items() if (code in _CYRILLIC) == cyrillic}


# --- the guard ------------------------------------------------------------------------------------------------

_LEAST_WORDS = 8
"""A piece of a text has so many words, unless it is all there is."""


def language(
    *languages: str, at: str | None = None, tolerate: float = 0.2, name: str = "language"
) -> Guard[object, object]:
    """A guard: texts are in one of some languages, all through.

    A text is cut into pieces of a few sentences, so that one that changes its language is found. Code, links
    and what is too short to tell are left aside.

    Args:
        languages: codes of ISO 639-1; see `LANGUAGES`.
        at: which texts, as a path pattern; None is all.
        tolerate: the share of the words that may be in another language, for names and short quotes.
        name: what findings call the guard.

    Raises:
        StageError: no language is given, one it does not know, or a share that is not from 0 up to 1.

    >>> guard = language("en", at="summary")
    >>> [f.message for f in guard({"summary": "Das ist leider nicht die Sprache, die wir wollten."})]
    ['is in German, not in English; write it in English']
    """
    if not languages or not set(languages) <= LANGUAGES:
        unknown = sorted(set(languages) - LANGUAGES)
        raise StageError(
            f"guard {name!r} does not know the language {unknown[0]!r}"
            if unknown
            else f"guard {name!r} is given no language",
            hint=f"it tells apart {', '.join(sorted(LANGUAGES))}; ask a judge about others",
        )
    if not 0 <= tolerate < 1:
        raise StageError(f"guard {name!r} cannot tolerate {tolerate}", hint="give a share, as 0.2")
    wanted = " or ".join(_NAMES[code] for code in languages)

    def check(answer: object) -> Iterator[Finding]:
        for where, text in texts(answer, at):
            found: Counter[str] = Counter()
            known = 0
            for piece in _pieces(_NO_PROSE.sub(" ", text)):
                guess = guess_language(piece)
                known += guess.words if guess.language else 0
                if guess.language and guess.language not in languages:
                    found[guess.language] += guess.words
            if found and found.total() > tolerate * known:
                other = _NAMES[found.most_common(1)[0][0]]
                partly = "" if found.total() > 0.8 * known else "partly "
                yield Finding(f"is {partly}in {other}, not in {wanted}; write it in {wanted}", at=where)

    return Guard(check, name=name)


def _pieces(text: str) -> Iterator[str]:
    """Sentences, joined until they have enough words; what is left joins the last piece."""
    pieces: list[str] = []
    held: list[str] = []
    words = 0
    for sentence in _SENTENCE.findall(text):
        held.append(sentence)
        words += sum(1 for _ in _WORD.finditer(sentence)) + len(_SCRIPTS["han"].findall(sentence)) // 2
        if words >= _LEAST_WORDS:
            pieces.append("".join(held))
            held, words = [], 0
    if held and pieces and words < _LEAST_WORDS // 2:
        pieces[-1] += "".join(held)
    elif held:
        pieces.append("".join(held))
    yield from pieces
