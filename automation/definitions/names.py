"""Names of parameters, variables and outputs: one rule, because all of them become shell variables."""

import re

NAME_PATTERN = r"^[a-z][a-z0-9_]{0,63}$"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

# Compared without case: PowerShell and the environment of Windows know no case, and a `$path` beside
# `$PATH` misleads whoever reads the script.
_SHELL_STARTUP = frozenset(
    {"path", "ifs", "env", "home", "shellopts", "bashopts", "prompt_command", "globignore"}
)
_INTERPRETER = frozenset(
    {
        *("classpath", "java_tool_options", "node_options", "perl5lib", "perl5opt", "perllib"),
        *("psmodulepath", "rubylib", "rubyopt"),
    }
)
_BASH_SPECIAL = frozenset({"auto_resume", "histchars"})
_POWERSHELL_WORDS = """
    args confirmpreference consolefilename debugpreference enabledexperimentalfeatures error
    erroractionpreference errorview event eventargs eventsubscriber executioncontext false foreach
    formatenumerationlimit host informationpreference input iscoreclr islinux ismacos iswindows lastexitcode
    matches maximumhistorycount myinvocation nestedpromptlevel null ofs outputencoding pid profile
    progresspreference psboundparameters pscmdlet pscommandpath psculture psdebugcontext
    psdefaultparametervalues psedition psemailserver pshome psitem psscriptroot pssenderinfo
    pssessionapplicationname pssessionconfigurationname pssessionoption psstyle psuiculture psversiontable pwd
    sender shellid stacktrace switch this transcript true verbosepreference warningpreference
    whatifpreference
"""
_POWERSHELL_AUTOMATIC = frozenset(_POWERSHELL_WORDS.split())
_PREFIXES = {
    "ld_": "would change what the dynamic linker loads",
    "dyld_": "would change what the dynamic linker loads",
    "bash_": "belongs to bash",
    "python": "would change how Python starts",
    "git_": "would change what git runs",
    "lc_": "would change the locale of every command",
    "opsportal_": "belongs to OpsPortal",
    "output_": "belongs to the outputs of earlier steps",
}


def refused(name: str) -> str | None:
    """Why `name`, in any case, must not become a variable; None when it may."""
    lower = name.lower()
    if lower in _SHELL_STARTUP:
        return "would change how the shell works"
    if lower in _INTERPRETER:
        return "would change how an interpreter starts"
    if lower in _BASH_SPECIAL:
        return "belongs to bash"
    if lower in _POWERSHELL_AUTOMATIC:
        return "belongs to PowerShell"
    for prefix, reason in _PREFIXES.items():
        if lower.startswith(prefix):
            return reason
    return None


def well_formed(name: str) -> bool:
    """Whether `name` has the form of a name: a lower-case letter, then up to 63 of a-z, 0-9 and _."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Give `name` back if a parameter or variable may have it; ValueError with the reason otherwise."""
    reason = refused(name)
    if reason is not None:
        raise ValueError(f"the name {name[:64]!r} is refused: it {reason}")
    if not well_formed(name):
        raise ValueError(
            f"the name {name[:64]!r} must be a lower-case letter and up to 63 more of a-z, 0-9 and _"
        )
    return name
