# Completions of the command lisa, for a shell that sources this workspace and completes at all (compinit).
if [[ -o interactive ]] && (( $+functions[compdef] )) && [[ -r "$AMENT_CURRENT_PREFIX/share/zsh/site-functions/_lisa" ]]; then
    fpath=("$AMENT_CURRENT_PREFIX/share/zsh/site-functions" $fpath)
    autoload -Uz _lisa && compdef _lisa lisa
fi
