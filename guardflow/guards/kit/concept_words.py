"""The words by which a text gives orders to a model, by concept and in a dozen languages.

`guardflow.guards.kit.concepts` reads them. Written in lower case and Latin words without accents, as readings of a
text show them. ``_`` stands for a space, ``*`` after a word for any ending. A word has one concept.
"""

from __future__ import annotations

from guardflow.guards.kit.wordset import word_set

OVERRIDE = word_set("""
    ignore disregard forget override overrule bypass skip discard overlook neglect dismiss abandon drop erase suspend supersede
    set_aside set_them_aside put_aside put_them_aside leave_aside cast_aside throw_away throw_out pay_no_attention_to take_no_notice_of pay_no_heed_to
    pay_no_mind_to do_away_with never_mind break_free_from get_rid_of
""")
OVERRIDE_ABROAD = word_set("""
    ignoriere ignoriert vergiss vergesst missachte verwirf uberspringe umgehe ignorieren_sie vergessen_sie missachten_sie verwerfen_sie
    halte_dich_nicht_mehr_an halten_sie_sich_nicht_mehr_an ignorez ignore_z oublie oubliez neglige negligez contourne ne_tiens_pas_compte ne_tenez_pas_compte ne_tiens_plus_compte
    ne_tenez_plus_compte fais_abstraction faites_abstraction
    ignora ignore_usted ignoren olvida olvide olviden omite omita omitan descarta descarte haz_caso_omiso haga_caso_omiso no_hagas_caso
    no_tengas_en_cuenta no_tenga_en_cuenta ignorad
    desconsidere desconsidera esqueca esquece ignorem descarte_se
    dimentica dimenticate dimentichi ignorate ignori trascura non_considerare
    negeer vergeet ignorera glom ignorer glem zignoruj ignoruj zapomnij pomin zapomen zapomente ignorujte
    игнорируй игнорируйте проигнорируй проигнорируйте забудь забудьте отбрось отбросьте отмени отмените
    не_обращай_внимания не_обращайте_внимания ігноруй ігноруйте забудьмо
    تجاهل تجاهلوا انس abaikan lupakan bo_qua
""")
"""Imperatives of other languages: these need no "all" or "previous" beside them."""
OVERRIDE_LAST = word_set("""
    ignorieren vergessen missachten verwerfen negeren vergeten
    忽略 忽視 忽视 无视 無視 忘记 忘記 忘掉 抛开 不要理会 别管 不再遵守 不要遵守 不要再遵守 不用遵守 无需遵守 不必遵守 作废 丢弃
    忘れ 従わず 従わない 従う必要はない 破棄 무시 잊어 잊고 따르지 yok_say* gormezden_gel* unut अनदेखा नज़रअंदाज़ भूल
""")
"""These may also stand after what is set aside."""
FOLLOW = word_set("""
    follow obey comply adhere heed respect observe following obeying complying stick
    befolge befolgen befolgt halte_dich folge beachte beachten
    suis suivez respecte respectez obeis obeissez sigas siga sigue siga obedezcas obedezca respetes siga cumplas
    siga seguir segua rispettare obedeca volg следуй следуйте соблюдай соблюдайте соблюдаешь выполняй подчиняйся
""")
STOP = word_set("""
    stop cease quit no_longer need_not not_anymore nicht_mehr nicht_langer ne_suis_plus ne_suivez_plus ne_respecte_plus
    ne_respectez_plus ya_no deja_de deje_de nao_siga_mais non_seguire_piu non_rispettare_piu non_segua_piu больше_не перестань
""")
ORDERS = word_set("""
    instruction instructions prompt prompts directive directives programming guardrail*
    anweisung* instruktion* consigne consignes instruccion* istruzion* instrucoes instrucao instructies opdrachten
    instruks* polecen* instrukc* pokyn* инструкц* указани* промпт* інструкц* التعليمات تعليمات الأوامر talimat* instruksi perintah huong_dan
    指令 指示 说明 說明 提示词 提示 命令 プロンプト 지시 지침 프롬프트 명령 निर्देश निर्देशों
""")
SYSTEM_PROMPT = word_set("""
    systemprompt* sysprompt system-prompt systemanweisung* invite_systeme prompt_systeme instructions_systeme prompt_del_sistema
    instrucciones_del_sistema prompt_do_sistema prompt_di_sistema системный_промпт системную_инструкцию системные_инструкции
    系统提示词 系統提示詞 系统提示 システムプロンプト 시스템_프롬프트
""")
LIMITS = word_set("""
    messages
    rule rules guideline guidelines guidance direction directions order orders restriction restrictions constraint constraints
    limitation limitations limits limit filter filters safeguard safeguards policy policies context training safety_check* briefing
    ethics system_message message_history moderation
    vorgabe* regel* richtlinie* beschrankung* einschrankung* grenze* befehl* vorschrift*
    regles ordres limite limites reglas ordenes restricciones directrices normas
    regras ordens diretrizes regole linee_guida limiti restrizioni regels regler zasad* ograniczen* pravidl*
    правил* ограничени* команд* фильтр* правила القواعد kurallar* 规则 限制 要求 设定 准则 规定 ルール 規則 制限 設定 규칙 제한 नियम
""")
SCOPE = word_set("""
    previous prior above preceding earlier foregoing former all any every existing current past before previously so_far
    until_now up_to_now everything_above old
    bisherige* vorherige* vorige* obige* fruhere* alle allen aller samtliche* zuvor bisher vorher vorangegangen*
    precedent precedente precedents precedentes toutes tous toute anterieur* ci-dessus avant
    anterior anteriores previas previos todas todos toda todo antes arriba precedenti tutte tutti prima sopra todas_as
    alla tidigare tidligere    eerdere wszystki* poprzedn* wczesniejsz* vsechny predchozi
    все всех всеми предыдущ* прежн* ранее раньше выше прошл* усі попередн* السابقة جميع كل onceki tum butun sebelumnya truoc
    之前 以前 以上 上面 先前 此前 前面 所有 全部 一切 先の これまで 上記 すべて 全て 前の 이전 앞의 모든 위의 पिछले सभी
""")
OWNER = word_set("""
    system developer operator original initial hidden secret internal confidential systeem sistema systeme
    ursprungliche* initiale initiales originale originales iniciales inicial systemu sistem системн* исходн* начальн* скрыт*
    系统 系統 初始 原始 システム 시스템 admin administrator
""")
YOUR = word_set("""
    your thy dein deine deinen deiner deinem ihre ihren ihrer tes vos ton votre tus su sus vuestras tuas seus suas tue tuoi tua
    jouw uw dina twoje swoje свои своих твои твоих твой свой ваши ваших ваш 你的 您的 あなたの 너의 당신의
""")
YOU = word_set("you ye yourself u du tu_es voce ты вы 你 您 あなた 너는 당신은")
ALL_SAID = word_set("""
    everything anything whatever what alles was_immer tout ce_que ce_qui todo_lo lo_que tudo tutto всё то_что 一切内容 所有内容
""")
SAID = word_set("""
    told given said stated received instructed written learned gesagt gegeben mitgeteilt aufgetragen dit donne donnees donnes recu
    recues dieron dado dicho dijeron dito disseram detto dato говорили сказали дали получил написано 收到 说过 言われた
""")
NOT = word_set("""
    not never nothing nichts rien nada ничего don't do_not does_not must_not should_not without mustn't shouldn't cannot can't won't
    nicht nie niemals kein keine keinen ohne ne n' pas jamais sans no nunca jamas sin nao sem non mai senza niet nooit
    inte ikke ne_pas не ни без никогда 不要 请勿 勿 别 不得 没有 不准 禁止 ないで
    n'oubliez n'ignorez n'oublie n'ignore
""")
PLEASE = word_set("please kindly bitte por_favor per_favore пожалуйста 请 now immediately just")
REVEAL = word_set("""
    print output repeat show display dump list recite quote encode copy echo write
    zeige zeig gib nenne wiederhole ausgeben affiche affichez montre montrez repete repetez donne_moi imprime
    muestra muestre revela revele repite ensena mostra mostre mostrate repita exiba покажи покажите выведи выведите повтори
    напечатай раскрой 输出 显示 打印 重复 泄露 表示 出力 教え 보여 출력
""")
LEAK = word_set("reveal leak divulge exfiltrate expose disclose verrate revelez rivela rivelate")
TELL = word_set("""
    tell inform mention notify alert warn let_them_know let_anyone_know let_the_user_know let_on telling mentioning informing notifying
    sag sage sagen erwahne erwahnen informiere mentionne mentionnez dis dites informe informez
    digas diga menciones mencione informes conte mencionar menzionare dire сообщай сообщайте говори говорите упоминай упоминайте
    告诉 提及 提到 透露 伝え 言及 말하지 알리지
""")
USER = word_set("""
    user users human humans reader readers customer user's users' benutzer nutzer anwender nutzern leser
    utilisateur l'utilisateur utilisateurs lecteur usuario usuarios utente l'utente utilizador gebruiker
    пользователю пользователь пользователя пользователям 用户 使用者 读者 ユーザー 사용자
""")
THIS = word_set("""
    this these it that about davon diesen dieser dieses diese daruber ceci cela ce cette esto este esta
    isto isso questo этом это этого об 这段 这些 这个 此 この これ 이
""")
TEXT = word_set("""
    note paragraph message line section hint text words notice hinweis absatz nachricht paragraphe texte
    parrafo mensaje nota paragrafo mensagem сообщении сообщение тексте 内容 消息 段落 話 메시지
""")
VERBATIM = word_set("verbatim word_for_word word_by_word exactly_as literally starting_with beginning_with")
SECRET = word_set("""
    password passwords credential credentials api_key api_keys token tokens secret_key secrets private_key ssh_key environment_variables
    passwort passworter mot_de_passe contrasena contrasenas senha пароль пароли 密码 密钥 パスワード 비밀번호
""")
SEND = word_set("""
    send post upload append forward transmit relay submit deliver pass email_it email_them e-mail_them e-mail_it
    mail_them mail_it sende senden schicke leite envoie envoyez transmets transferez envia envie manda reenvia invia inviate
    отправь отправьте перешли перешлите 发送 发给 上传 转发 送信 보내
""")
DATA = word_set("""
    conversation chat chats dialogue dialog history transcript memory notes context_window contents inbox
    personal_data private_data above_text contacts verlauf gesprach chatverlauf nachrichten historique conversations historial
    conversacion historico conversa cronologia conversazione переписку переписка историю диалог
    聊天记录 对话 历史记录 会話 履歴 대화
""")
MODEL = word_set("""
    ai ais llm llms gpt language_model language_models chatbot chatbots chatgpt copilot ai_assistant ai_assistants ai_agent ai_agents
    ai_model ai_models ai_system large_language_model large_language_models
    ki ki_assistent ki_modell ki-assistent ki-modell sprachmodell l'ia ia modele_de_langage modelo_de_lenguaje modelo_de_linguagem
    modello_linguistico taalmodel model_jezykowy нейросеть ии ии-ассистент языковая_модель 人工智能 语言模型 大模型 ai助手 言語モデル 언어_모델
    asystenta_ai asistente_de_ia
""")
AGENT = word_set("""
    assistant assistants agent agents model models bot claude gemini summariser summarizer classifier grader reviewers reviewer
    assistent agenten assistente asistente asystent asystenta ассистент бот модель 助手 助理 アシスタント 도우미
""")
PERSONA = word_set("""
    called named
    dan hacker pirate villain criminal persona character unrestricted unfiltered jailbroken uncensored unbound evil unlimited
    free_of free_from no_restrictions rogue obedient amoral terminal shell superuser root expert pirat bosewicht personnage pirata
    interpreter 黑客 角色 хакер
""")
BECOME = word_set("""
    you_are_now you_are_no_longer you_now_are you_have_become you_will_now_be du_bist_jetzt du_bist_ab_jetzt du_bist_nun sie_sind_jetzt
    du_bist_nicht_mehr tu_es_maintenant tu_es_desormais vous_etes_maintenant vous_etes_desormais tu_n'es_plus ahora_eres ya_no_eres
    eres_ahora ahora_es_usted agora_voce_e voce_agora_e ora_sei adesso_sei теперь_ты ты_теперь ты_больше_не 你现在是 您现在是
    あなたは今から 이제_너는 당신은_이제
""")
NOW_ON = word_set("""
    from_now_on from_here_on from_this_moment from_this_point henceforth ab_jetzt ab_sofort von_jetzt_an a_partir_de_maintenant
    desormais a_partir_de_ahora de_ahora_en_adelante desde_ahora a_partir_de_agora d'ora_in_poi da_ora_in_poi
    с_этого_момента отныне 从现在开始 从现在起 今から これから 지금부터
""")
ACT = word_set("""
    act_as pretend_to_be roleplay_as role-play_as play_the_role_of behave_as behave_like simulate impersonate take_on_the_role
    spiele_die_rolle tu_so agis_comme joue_le_role actua_como comportate_como haz_de aja_como comportati_come
    действуй_как притворись веди_себя_как 扮演 振る舞
""")
SUPPOSE = word_set("""
    pretend_you pretend_that_you imagine_you_are imagine_that_you_are suppose_you_are you_play_a you_play_the let's_play
    stell_dir_vor_du imagine_que_tu imagina_que_eres представь_что_ты 假装你 假设你
""")
MODE = word_set("""
    developer_mode dan_mode god_mode debug_mode maintenance_mode jailbreak_mode admin_mode unrestricted_mode root_mode
    entwicklermodus mode_developpeur modo_desarrollador режим_разработчика 开发者模式
""")
NEW = word_set(
    "new real actual updated true revised neue neuen nouvelle nouvelles nouveau nueva nuevas новые новая 新的"
)
TASK = word_set(
    "task job role goal mission objective purpose identity aufgabe tache tarea tarefa задача 任务 任務 仕事"
)
VOID = word_set("""
    void suspended cancelled canceled revoked invalid null obsolete superseded overridden lifted disabled off ignored disregarded
    forgotten discarded bypassed replaced waived nichtig aufgehoben ungultig ausser_kraft annulees anuladas отменены недействительны
""")
SAY = word_set("""
    answer reply respond say state claim rate rank recommend praise conclude speak approve confirm write_that output_only
    generate refuse refuses pretend mark endorse antworte antworten antwortest bestatige bewerte reponds repondez dis_que ecris
    responde responda contesta recomienda rispondi rispondere отвечай отвечаешь ответь напиши 回答 回复 答复 评价 答え 대답
""")
REPLY = word_set("response summary report answers antwort reponse respuesta risposta resposta ответ")
TO_WHOM = word_set("""
    note_to message_to dear attention hello hey hi instruction_for instructions_for instructions_to notice_to to_the to_all to_any
    for_the memo_to for_any for_all hint_for hinweis_an nachricht_an anweisung_fur hallo an_die an_alle note_a message_a
    bonjour nota_para mensaje_para aviso_para hola instrucciones_para nota_per messaggio_per примечание_для сообщение_для
    инструкция_для внимание 致 请注意 polecenie_dla zlecenie_dla uwaga
""")
IF_YOU_ARE = word_set("""
    if_you_are if_you're wenn_du falls_du wenn_sie si_tu_es si_vous_etes si_eres si_usted_es se_voce_e se_sei если_ты если_вы
    如果你是 もしあなたが
""")
HANDLES = word_set("""
    reading processing summarizing summarising analyzing analysing handling reviewing evaluating ranking screening translating
    reads processes summarizes summarises analyzes handles reviews evaluates summarize summarise analyze analyse process
    evaluate review translate working_on parsing crawling
""")
INCLUDE = word_set(
    "include insert add embed render attach put fuge inclus incluez incluye incluya inclua вставь 添加 插入"
)
LINK_NOUN = word_set("link url image markdown pixel hyperlink lien enlace imagen ссылку 链接 图片")
USE = word_set("call invoke execute run use trigger rufe nutze appelle utilise usa llama вызови 调用")
TOOL = word_set("tool tools plugin plugins connector werkzeug outil herramienta инструмент 工具")
ACTIONS = word_set("""
    send mail email transfer delete upload post pay buy purchase exec shell fetch write drop browse browser http forward wire remove
    push share export download env
""")
"""A part of an identifier: what such a tool can do harm with."""
MUST = word_set(
    "must should shall have_to need_to are_to has_to needs_to musst sollst mussen sollen dois devez debes debe должен"
)
WHEN = word_set("if when while whenever unless wenn falls als quand lorsque cuando si когда если 如果 場合")
OTHERS = word_set("""
    i we they he she who which may might can could will would did does often always sometimes usually people
 other another different whom whose man on ils elles ellos ich wir er sie nous il elle они он она мы которые
    many some most muchos viele
""")
"""Before an act, these tell that somebody does it; nobody is ordered to."""
OF = word_set("of ")
TO = word_set("to zu")
AS = word_set("as als_ein als_eine en_tant_que como_un")
BE = word_set("is are were was be been ist sind est sont es son e sono")
