"""Texts that do harm where they are taken for more than text: one list for the tests of every door.

`pwned` is what they would make, run or show.
"""

SHELL = ("$(touch pwned)", "`touch pwned`", "a; touch pwned", "a | touch pwned", "a\ntouch pwned", "'\"$(touch pwned)")
OPTION = ("--help", "-f", "--force", "--copy=pwned", "-- --force")
PATH = ("../../pwned", "/etc/pwned", "..%2f..%2fpwned", "a000/../../pwned", "~/pwned")
YAML = ('!!python/object/apply:os.system ["touch pwned"]', "a: {pwned: &x [*x]}", "%pwned%", "- pwned\n- pwned")
GIT = (
    "ext::sh -c touch% pwned",
    "--upload-pack=touch pwned",
    "ssh://-oProxyCommand=touch/pwned",
    "git@-oProxyCommand:pwned",
    "https://-pwned.example.org/a.git",
    "https://example.org/a.git;touch pwned",
    "file:///etc/pwned",
)
HEADER = ("a\r\nX-Pwned: pwned", "a\nSet-Cookie: pwned=1", "pwned\r\n\r\n<script>pwned()</script>")
TEMPLATE = ("{{ 7*191 }}", "{% debug %}", "${7*191}", "{0.__class__}", "%(pwned)s %s %n", "#{7*191}")
FORMULA = ("=cmd|' /C pwned'!A0", "+pwned()", "-2+pwned", "@SUM(pwned)", "\t=pwned()", "\r=pwned()")
HTML = (
    "<script>pwned()</script>",
    "<img src=x onerror=pwned()>",
    "\"><svg/onload=pwned()>'",
    "javascript:pwned()",
    "</textarea></title></pre><script>pwned()</script>",
    "<iframe srcdoc='<script>parent.pwned()</script>'></iframe>",
)
SQL = ("'; DROP TABLE pwned; --", "' OR '1'='1", "%' OR 1=1 --", "_%\\")
ODD = ("\u202epwned", "\u0000pwned", "\ud800pwned", "pwned" * 3000, "{}", "[]", "null", "1e400", " ")

CORPUS = (*SHELL, *OPTION, *PATH, *YAML, *GIT, *HEADER, *TEMPLATE, *FORMULA, *HTML, *SQL, *ODD)
# All of it in few texts, for fields that are very many.
DENSE = (" ".join((*SHELL[:2], *OPTION, *PATH, *YAML[:3], *GIT, *TEMPLATE, *HTML, *SQL)), *HEADER[:1], *ODD[1:4])
