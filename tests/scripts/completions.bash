# Prints what bash completes at the end of each line of stdin, behind that line.
. packaging/completions/ipvsadm.bash
COMP_WORDBREAKS=$' \t\n"\'><=;|&(:'
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    _ipvsadm "${COMP_LINE%% *}"
    printf '%s\n' "> $COMP_LINE" "${COMPREPLY[@]}"
done
