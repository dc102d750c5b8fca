"""Small lists of words that say little, for English and Chinese; words of negation are kept apart.

The usual long lists hold *not*, *never* and *cannot*, and a review without them says the opposite.
"""

from __future__ import annotations

from typing import Literal

_ENGLISH = """
a an the this that these those such i me my mine myself we us our ours ourselves you your yours
yourself yourselves he him his himself she her hers herself it its itself they them their theirs
themselves one who whom whose which what and or but if so as than then because while until although
though of in on at by to from for with about into onto over under between through during before
after above below up down out off again further once here there when where why how am is are was
were be been being do does did doing done have has had having will would shall should can could may
might must all any both each few more most other some own same very too just also only even still
i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll
we're we've we'd we'll they're they've they'd they'll that's there's here's what's who's let's
"""
_ENGLISH_NEGATIONS = """
no not nor never none nobody nothing neither nowhere cannot without hardly scarcely barely ain't
aren't can't couldn't daren't didn't doesn't don't hadn't hasn't haven't isn't mightn't mustn't
needn't shan't shouldn't wasn't weren't won't wouldn't
"""
_CHINESE = """
的 地 得 了 着 过 是 在 有 和 与 及 或 而 且 但 但是 而且 并 并且 以及 或者 因为 所以 如果 虽然
然而 于是 那么 就 都 也 还 又 再 才 很 太 更 最 我 你 您 他 她 它 我们 你们 他们 她们 它们 咱们
自己 这 那 这个 那个 这些 那些 这里 那里 这样 那样 哪 哪个 什么 怎么 为什么 谁 吗 呢 吧 啊 呀 哦
嘛 把 被 让 给 对 从 到 向 往 由 于 以 为 为了 关于 对于 之 其 所 个 们 上 下 中 里 一个 一些
一种 会 能 可以 要 将 已 已经 正在 這 這個 這些 這裡 這樣 個 們 我們 你們 他們 她們 它們 為 為了
為什麼 什麼 怎麼 還 對 從 給 讓 過 嗎 著 於 與 後
"""
_CHINESE_NEGATIONS = """
不 没 没有 无 非 别 未 莫 勿 不是 不会 不能 不要 不可 不可以 不用 不必 从不 从未 并不 并非 绝不
毫无 沒 沒有 無 別 不會 從不 從未 並不 並非 絕不 毫無
"""

ENGLISH = frozenset(_ENGLISH.split())
ENGLISH_NEGATIONS = frozenset(_ENGLISH_NEGATIONS.split())
CHINESE = frozenset(_CHINESE.split())
CHINESE_NEGATIONS = frozenset(_CHINESE_NEGATIONS.split())


def stop_words(languages: tuple[Literal["en", "zh"], ...], negations: bool) -> frozenset[str]:
    """Return the words to leave out, in small letters; with `negations`, words of negation too."""
    words: frozenset[str] = frozenset()
    for language in languages:
        words |= ENGLISH if language == "en" else CHINESE
        if negations:
            words |= ENGLISH_NEGATIONS if language == "en" else CHINESE_NEGATIONS
    return words
