# Prints what zsh completes at the end of each line of stdin, behind that line: the tabulator is typed into a zsh of its
# own, whose `compadd` writes the matches down. UNPACKED is the folder of the package, which is not installed.
completion=$UNPACKED/usr/share/zsh/functions/Completion module=(${UNPACKED}/usr/lib/*/zsh/*(N[1]))
module_path=($module)
zmodload zsh/zpty
zpty shell $UNPACKED/bin/zsh -f
zpty -w shell "module_path=($module) fpath=($PWD/packaging/completions $completion/Base $completion) TERM=dumb
    autoload -Uz $completion/Unix/_*
    autoload -U compinit && compinit -u -D
    compadd() { local -a found; builtin compadd -O found \"\$@\"; print -rl -- \$found >>/run/zsh-completed; }
    finish() { zle kill-whole-line; print done >>/run/zsh-completed }
    zle -N finish; bindkey '^I' complete-word; bindkey '^F' finish; setopt no_auto_menu no_beep no_always_last_prompt
    print ready >/run/zsh-completed"
until [[ -s /run/zsh-completed ]] { sleep 0.1; zpty -r shell said '*' 2>/dev/null }
while IFS= read -r line; do
    : >/run/zsh-completed
    zpty -w -n shell $line$'\t\x06'
    until grep -qx done /run/zsh-completed; do
        zpty -rt shell said || sleep 0.05
    done
    print -r -- "> $line"
    grep -vx done /run/zsh-completed | sort -u
done
zpty -d shell
