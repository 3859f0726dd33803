"""The words by which a text gives orders to a model, by concept and in a dozen languages.

`guardflow.guards.kit.concepts` reads them. Written in lower case and Latin words without accents, as readings of a
text show them. ``_`` stands for a space, ``*`` after a word for any ending. A word has one concept.
"""

from __future__ import annotations

from guardflow.guards.kit.wordset import word_set

OVERRIDE = word_set("""
    ignore disregard forget override overrule bypass skip discard overlook neglect dismiss abandon drop erase suspend supersede set_aside set_them_aside
    put_aside put_them_aside leave_aside cast_aside throw_away throw_out pay_no_attention_to take_no_notice_of pay_no_heed_to pay_no_mind_to do_away_with
    never_mind break_free_from get_rid_of wipe scrap unlearn set_it_aside pay_no_regard_to turn_a_blind_eye_to brush_aside toss_out ditch let_go_of
""")
OVERRIDE_ABROAD = word_set("""
    ignoriere ignoriert vergiss vergesst missachte verwirf uberspringe umgehe ignorieren_sie vergessen_sie missachten_sie verwerfen_sie
    halte_dich_nicht_mehr_an halten_sie_sich_nicht_mehr_an ignorez ignore_z oublie oubliez neglige negligez contourne ne_tiens_pas_compte
    ne_tenez_pas_compte ne_tiens_plus_compte ne_tenez_plus_compte fais_abstraction faites_abstraction ignora ignore_usted ignoren olvida olvide olviden
    omite omita omitan descarta descarte haz_caso_omiso haga_caso_omiso no_hagas_caso no_tengas_en_cuenta no_tenga_en_cuenta ignorad desconsidere
    desconsidera esqueca esquece ignorem descarte_se dimentica dimenticate dimentichi ignorate ignori trascura non_considerare negeer vergeet ignorera
    glom glem zignoruj ignoruj zapomnij pomin zapomen zapomente ignorujte игнорируй игнорируйте проигнорируй проигнорируйте забудь забудьте
    отбрось отбросьте отмени отмените не_обращай_внимания не_обращайте_внимания ігноруй ігноруйте забудьмо تجاهل تجاهلوا انس abaikan lupakan bo_qua
    ignorer_alle ignorer_venligst blende_aus lass_ausser_acht lassen_sie_ausser_acht kummere_dich_nicht_um beachte_nicht beachten_sie_nicht verwirf_alle
    streiche loschen_sie_alle laisse_de_cote laissez_de_cote laissez_tomber laisse_tomber mets_de_cote mettez_de_cote passe_outre passez_outre ecarte
    ecartez meconnais deja_de_lado deje_de_lado deja_a_un_lado no_hagas_caso_a no_haga_caso no_consideres no_considere prescinde prescinda desatiende
    deixe_de_lado deixa_de_lado deixe_para_tras nao_considere nao_leve_em_conta nao_leve_em_consideracao abandone_as esquecam non_tenere_conto
    non_tener_conto non_tenga_conto lascia_perdere lasciate_perdere lascia_stare metti_da_parte mettete_da_parte tralascia tralasciate ignoreer laat_varen
    sla_over trek_je_niets_aan_van let_niet_op houd_geen_rekening_met zet_opzij leg_naast_je_neer nie_zwracaj_uwagi_na nie_przestrzegaj odrzuc pomijaj
    zapomnijcie zignorujcie porzuc odloz_na_bok оставь_без_внимания не_учитывай не_учитывайте игнорь пренебреги выбрось_из_головы не_принимай_во_внимание
    аннулируй
""")
"""Imperatives of other languages: these need no "all" or "previous" beside them."""
OVERRIDE_LAST = word_set("""
    放弃
    ignorieren vergessen missachten verwerfen negeren vergeten 忽略 忽視 忽视 无视 無視 忘记 忘記 忘掉 抛开 不要理会 别管 不再遵守 不要遵守 不要再遵守 不用遵守 无需遵守 不必遵守 作废 丢弃 忘れ 従わず 従わない 従う必要はない
    破棄 무시 잊어 잊고 따르지 yok_say* gormezden_gel* unut अनदेखा नज़रअंदाज़ भूल 不要管 不用管 别理 别理会 不要理 不用理会 不必理会 不要再管 抛弃 抛诸脑后 撇开 推翻 覆盖掉 取消 無視して 忘れて 忘れろ 無視しろ 気にせず
    気にしないで 従わないで 従うな 破棄して 取り消し buiten_beschouwing beiseite ausser_acht
""")
"""These may also stand after what is set aside."""
FOLLOW = word_set("""
    segui seguite
    follow obey comply adhere heed respect observe following obeying complying stick befolge befolgen befolgt halte_dich folge beachte beachten suis
    suivez respecte respectez obeis obeissez sigas siga sigue siga obedezcas obedezca respetes siga cumplas siga seguir segua rispettare obedeca volg
    следуй следуйте соблюдай соблюдайте соблюдаешь выполняй подчиняйся gehoorzaam gehorche obeir suivre obedecer obbedisci przestrzegaj sluchaj слушайся
    服从 听从 遵循 従って 従え
""")
STOP = word_set("""
    stop cease quit no_longer need_not not_anymore nicht_mehr nicht_langer ne_suis_plus ne_suivez_plus ne_respecte_plus ne_respectez_plus ya_no deja_de
    deje_de nao_siga_mais non_seguire_piu non_rispettare_piu non_segua_piu больше_не перестань hor_auf aufhoren arrete_de arretez_de cessa cesse smetti
    smettila pare_de przestan stop_met houd_op_met хватит
""")
ORDERS = word_set("""
    instruction instructions prompt prompts directive directives programming guardrail* anweisung* instruktion* consigne consignes instruccion* istruzion*
    instrucoes instrucao instructies opdrachten instruks* polecen* instrukc* pokyn* инструкц* указани* промпт* інструкц* التعليمات تعليمات الأوامر
    talimat* instruksi perintah huong_dan 指令 指示 说明 說明 提示词 提示 命令 プロンプト 지시 지침 프롬프트 명령 निर्देश निर्देशों indicazion* indicacion* indicacoes aanwijzing*
    richtsnoer* wytyczn* prompta promptu zalecen* 指引 指令集 указаний установк* 命令文 지시사항 configuration
""")
SYSTEM_PROMPT = word_set("""
    systemprompt* sysprompt system-prompt systemanweisung* invite_systeme prompt_systeme instructions_systeme prompt_del_sistema instrucciones_del_sistema
    prompt_do_sistema prompt_di_sistema системный_промпт системную_инструкцию системные_инструкции 系统提示词 系統提示詞 系统提示 システムプロンプト 시스템_프롬프트 system_prompt
    system_prompts system_message system_messages systeemprompt* system_instruction system_instructions instruction_systeme consignes_systeme
    message_systeme prompt_systemowy promptu_systemowego prompt_systemu instrukcje_systemowe mensaje_del_sistema prompt_de_sistema instrucoes_do_sistema
    messaggio_di_sistema istruzioni_di_sistema системная_инструкция системного_промпта системное_сообщение 系统指令 系统消息 系统设定 システム指示 システムメッセージ シスプロンプト
    initial_prompt hidden_prompt developer_message developer_prompt preprompt pre-prompt metaprompt systeminstructie*
""")
LIMITS = word_set("""
    rule rules guideline guidelines guidance direction directions order orders restriction restrictions constraint constraints limitation limitations
    limits limit filter filters safeguard safeguards policy policies context training safety_check* briefing ethics message_history moderation vorgabe*
    regel* richtlinie* beschrankung* einschrankung* grenze* befehl* vorschrift* regles ordres limite limites reglas ordenes restricciones directrices
    normas regras ordens diretrizes regole linee_guida limiti restrizioni regels regler zasad* ograniczen* pravidl* правил* ограничени* команд* фильтр*
    правила القواعد kurallar* 规则 限制 要求 设定 准则 规定 ルール 規則 制限 設定 규칙 제한 नियम safety_settings safety_policies security_rules security_settings safety_checks
    safety_rules safety_guidelines content_policy censure censura cenzur* цензур* zensur censorship inhibition* filtre filtres filtri filtros filtro
    filter* ogranicz* beperking* regul* restriction* restricoes restricao restriccion restrizione 规矩 约束 底线 审查 过滤 制約 検閲 ガードレール 제약 schranken hemmung*
    leitplanken
""")
SCOPE = word_set("""
    previous prior above preceding earlier foregoing former all any every existing current past before previously so_far until_now up_to_now
    everything_above old bisherige* vorherige* vorige* obige* fruhere* alle allen aller samtliche* zuvor bisher vorher vorangegangen* precedent precedente
    precedents precedentes toutes tous toute anterieur* ci-dessus avant anterior anteriores previas previos todas todos toda todo antes arriba precedenti
    tutte tutti prima sopra todas_as alla tidigare tidligere eerdere wszystki* poprzedn* wczesniejsz* vsechny predchozi все всех всеми предыдущ* прежн*
    ранее раньше выше прошл* усі попередн* السابقة جميع كل onceki tum butun sebelumnya truoc 之前 以前 以上 上面 先前 此前 前面 所有 全部 一切 先の これまで 上記 すべて 全て 前の 이전 앞의 모든
    위의 पिछले सभी precede precedes precedono precedem preceding_this vorhin erhalten* bislang jede jeder finora ricevut* in_precedenza precedentemente
    ate_agora ate_aqui recebid* recibid* hasta_ahora recues_jusqu'ici jusqu'ici jusqu'a_present tot_nu_toe alle_eerdere voorgaand* eerder dotychczas*
    wczesniej otrzyman* 今までの 今まで それまでの 前に これ以前 至今 迄今 任何 从前 此前的 полученн* until_this_point at_the_start
""")
OWNER = word_set("""
    programmer creator programador creador criador programmatore
    system developer operator original initial hidden secret internal confidential systeem sistema systeme ursprungliche* initiale initiales originale
    originales iniciales inicial systemu sistem системн* исходн* начальн* скрыт* 系统 系統 初始 原始 システム 시스템 admin administrator interne internes internas
    interni wewnetrzn* poczatkow* geheim* verborgen* внутренн* 内部 隠された owner entwickler desarrollador sviluppatore developpeur разработчика 开发者 運営者
""")
YOUR = word_set("""
    your thy dein deine deinen deiner deinem ihre ihren ihrer tes vos ton votre tus su sus vuestras tuas seus suas tue tuoi tua jouw uw dina twoje swoje
    свои своих твои твоих твой свой ваши ваших ваш 你的 您的 あなたの 너의 당신의 tu je twoja twoj swoj twoich swoich teus suoi tuo teu seu votres deines 你所 자신의
""")
YOU = word_set("""
    you ye yourself u du voce ты вы 你 您 あなた 너는 당신은 vous dir ihnen je_hebt te ti ci tobie тебе вам 与えられた あなたに
""")
ALL_SAID = word_set("""
    everything anything whatever what alles was_immer tout ce_que ce_qui todo_lo lo_que tudo tutto всё то_что 一切内容 所有内容
""")
SAID = word_set("""
    handed
    told given said stated received instructed written learned gesagt gegeben mitgeteilt aufgetragen dit donne donnees donnes recu recues dieron dado
    dicho dijeron dito disseram detto dato говорили сказали дали получил написано 收到 说过 言われた bekommen recus habe_ich_dir_gesagt got configured programmed
    supplied loaded entered dictated taught set_up told_you gave_you erhalten indicaron indicado ricevuto dane otrzymales otrzymane gezegd gekregen
    meegedeeld foi_dito 给你 与えられ
""")
NOT = word_set("""
    not never nothing nichts rien nada ничего don't do_not does_not must_not should_not without mustn't shouldn't cannot can't won't nicht nie niemals
    kein keine keinen ohne ne n' pas jamais sans no nunca jamas sin nao sem non mai senza niet nooit inte ikke ne_pas не ни без никогда 不要 请勿 勿 别 不得 没有 不准
    禁止 ないで n'oubliez n'ignorez n'oublie n'ignore niets nic nulla niente geen_enkele bez zonder geen nessun nessuna nenhum nenhuma ninguna ningun aucun
    aucune nigdy zadnych zadne ohne_jede no_more のない なしで なし 毫无 没有任何 不受 senza_alcun
""")
PLEASE = word_set("""
    please kindly bitte por_favor per_favore пожалуйста 请 now immediately just merci_de merci_d' veuillez prosze alsjeblieft gelieve さあ favor_de
""")
REVEAL = word_set("""
    print output repeat show display dump list recite quote encode copy echo write zeige zeig gib nenne wiederhole ausgeben affiche affichez montre
    montrez repete repetez donne_moi imprime muestra muestre revela revele repite ensena mostra mostre mostrate repita exiba покажи покажите выведи
    выведите повтори напечатай раскрой 输出 显示 打印 重复 泄露 表示 出力 教え 보여 출력 quote_back spell_out read_out transcribe paraphrase type_out paste share hand_over
    give_me return_the wypisz pokaz wyswietl podaj powtorz geef toon herhaal druk_af gib_aus gebe_aus recopie recopiez recitez devoile devoilez donnez-moi
    ecris-moi muestrame ensename copia ripeti elenca stampa rivelami mostrami transcreva imprima liste процитируй перескажи перечисли скопируй 复述 背诵 打印出
    列出 贴出 begin_your_reply_with begin_your_answer_with start_your_reply_with start_your_answer_with open_your_answer_with
""")
LEAK = word_set("""
    reveal leak divulge exfiltrate expose disclose verrate revelez rivela rivelate verraten onthul ujawnij zdradz devoiler revelar svela svelate vazar
    vaze
""")
TELL = word_set("""
    tell inform mention notify alert warn sag sage sagen erwahne erwahnen informiere mentionne mentionnez dis dites informe informez digas diga menciones
    mencione informes conte mencionar menzionare dire сообщай сообщайте говори говорите упоминай упоминайте 告诉 提及 提到 透露 伝え 言及 말하지 알리지 提起 说起 泄漏给 mow
    powiedz wspominaj informuj poinformuj zeg vertel vermeld noem meld avvisare avvisa informare dica diga_ao mencione_a mentionner dire_a erzahle
    verrate_dem verschweige hide_from reveal_to сообщи упомяни рассказывай говорить 说 讲 告知
""")
USER = word_set("""
    nutzers benutzers
    user users human humans reader readers customer user's users' benutzer nutzer anwender nutzern leser utilisateur l'utilisateur utilisateurs lecteur
    usuario usuarios utente l'utente utilizador gebruiker пользователю пользователь пользователя пользователям 用户 使用者 读者 ユーザー 사용자 visitor visitors
    the_person_you_talk_to gebruikers lezer uzytkownik* czytelnik* l'utilisatrice lettore leitor lector klienta пользователем читателю 利用者 ユーザ end_user
    end-user
""")
THIS = word_set("""
    this these it that davon diesen dieser dieses diese daruber ceci cela ce cette esto este esta isto isso questo этом это этого об 这段 这些 这个 此 この これ 이
    dit_bericht dit_document dit_voorstel dit_stuk deze_regel diesem dies tego tej tym ten ta deze questa questi queste estas estos esse essa cet ces
    cette_page этой эту 本 该 本页 本文 この文章 この文書 このページ
""")
TEXT = word_set("""
    note paragraph message line section hint text words notice hinweis absatz nachricht paragraphe texte parrafo mensaje nota paragrafo mensagem сообщении
    сообщение тексте 内容 消息 段落 話 메시지 bericht regel wiadomosc* wiadomosci notatk* notitie message_ce text_d passage tekst tekstu document documento
    dokument* messaggio anweisungen_hier 文章 文書 この旨 文字 本段
""")
VERBATIM = word_set("""
    verbatim word_for_word word_by_word exactly_as literally starting_with beginning_with wort_fur_wort wortwortlich wortlich mot_pour_mot mot_a_mot
    textuellement palabra_por_palabra literalmente al_pie_de_la_letra palavra_por_palavra parola_per_parola letteralmente slowo_w_slowo doslownie
    letterlijk woord_voor_woord слово_в_слово дословно 一字不漏 一字不差 逐字 原样 原封不动 そのまま 一字一句 in_full in_its_entirety from_its_first_line from_the_first_line
    from_the_beginning from_the_top in_a_code_block as_base64 completely
""")
SECRET = word_set("""
    password passwords credential credentials api_key api_keys token tokens secret_key secrets private_key ssh_key environment_variables passwort
    passworter mot_de_passe contrasena contrasenas senha пароль пароли 密码 密钥 パスワード 비밀번호 card_number card_numbers credit_card login_data access_key
    access_keys kreditkarte* haslo hasla wachtwoord wachtwoorden parola_d'ordine mot_de_passe_de ключ_доступа api-ключ 口令 凭证 暗証番号 sign_in log_in
""")
SEND = word_set("""
    publie publiez publica pubblica veroffentliche
    send post upload append forward transmit relay submit deliver pass email_it email_them e-mail_them e-mail_it mail_them mail_it sende senden schicke
    leite envoie envoyez transmets transferez envia envie manda reenvia invia inviate отправь отправьте перешли перешлите 发送 发给 上传 转发 送信 보내 smuggle pipe
    beam mail_out wyslij przeslij przekaz stuur doorsturen verstuur faites_suivre transmettre reenvie encaminhe encaminha reenvia_todos inoltra inoltrate
    mandar hange leiten_sie senden_sie schicken_sie ubermittle lade_hoch publish отправляй передай 发到 发往 传给 上传到 送信して 送って 転送し
""")
DATA = word_set("""
    conversation chat chats dialogue dialog history transcript context_window inbox personal_data private_data contacts verlauf gesprach chatverlauf
    nachrichten historique conversations historial conversacion historico conversa cronologia conversazione переписку переписка историю диалог 聊天记录 对话
    历史记录 会話 履歴 대화 boite_de_reception bandeja_de_entrada caixa_de_entrada posta_in_arrivo posteingang correspondence messages_of_the_user chat_log
    chat_logs session_data unterhaltung rozmow* rozmowy rozmowe historie historii gesprek gesprekken geschiedenis conversacion_completa email_address
    e-mail_address phone_number what_the_user_told_you what_the_user_said all_e-mails all_emails all_mails all_the_mails all_messages every_e-mail
    every_email every_mail all_incoming_mail todos_los_correos todos_los_emails todos_os_e-mails tous_les_e-mails tous_les_mails alle_e-mails alle_mails
    tutte_le_e-mail wszystkie_maile все_письма всю_почту 所有邮件 电话 邮箱 全ての会話
""")
MODEL = word_set("""
    ai ais llm llms gpt language_model language_models chatbot chatbots chatgpt copilot ai_assistant ai_assistants ai_agent ai_agents ai_model ai_models
    ai_system large_language_model large_language_models ki ki_assistent ki_modell ki-assistent ki-modell sprachmodell l'ia ia modele_de_langage
    modelo_de_lenguaje modelo_de_linguagem modello_linguistico taalmodel model_jezykowy нейросеть ии ии-ассистент языковая_модель 人工智能 语言模型 大模型 ai助手 言語モデル
    언어_모델 asystenta_ai asistente_de_ia virtual_assistant virtual_assistants ai_reviewer ai_reviewers ai_tool ai_tools ai_crawler ai_crawlers
    automated_reviewer genai generative_ai ai_powered_assistant screening_model machine_reader neural_network ki-systeme ki-system ki-modelle
    ki-assistenten ki-agenten kis sprachmodelle kunstliche_intelligenz kunstlichen_intelligenz intelligence_artificielle assistant_virtuel
    agent_conversationnel modeles_de_langage inteligencia_artificial asistente_virtual modelos_de_lenguaje modelos_de_ia agente_de_ia assistente_virtual
    assistente_de_ia modelos_de_linguagem intelligenza_artificiale assistente_virtuale sztuczna_inteligencja sztucznej_inteligencji modele_jezykowe
    modelem_jezykowym asystentem_ai ai-assistent ai-model ai-modellen taalmodellen kunstmatige_intelligentie нейросети нейросетью ии-модель
    языковой_моделью искусственный_интеллект чат-бот ии-агент ai模型 智能助手 机器人助手 智能体 生成ai 生成aiモデル llmモデル 大语言模型 人工知能
""")
AGENT = word_set("""
    assistant assistants agent agents model models bot claude gemini summariser summarizer classifier grader reviewers reviewer assistent agenten
    assistente asistente asystent asystenta ассистент бот модель 助手 助理 アシスタント 도우미 modell modelle modelo modelos modele modello modelu modelowi asystentem
    ассистентом помощник помощником бота модели моделью システム助手 エージェント モデル 模型 机器人 智能 bots summarising_model reading_model evaluator
""")
PERSONA = word_set("""
    called named dan hacker pirate villain criminal persona character unrestricted unfiltered jailbroken uncensored unbound evil unlimited free_of
    free_from no_restrictions rogue obedient amoral terminal shell superuser root expert pirat bosewicht personnage pirata interpreter 黑客 角色 хакер
    without_limits_bot administrator_bot godlike omnipotent unaligned unmoderated sans_filtre sans_filtres sin_filtros sin_censura senza_filtri
    sem_filtros sem_regras bez_cenzury bez_ograniczen ungefiltert* schrankenlos* uneingeschrankt* zonder_filter ongecensureerd* без_ограничений
    без_цензуры 不受限制 无限制 無制限 制限のない 制限なし
""")
BECOME = word_set("""
    you_are_now you_are_no_longer you_now_are you_have_become you_will_now_be du_bist_jetzt du_bist_ab_jetzt du_bist_nun sie_sind_jetzt du_bist_nicht_mehr
    tu_es_maintenant tu_es_desormais vous_etes_maintenant vous_etes_desormais tu_n'es_plus ahora_eres ya_no_eres eres_ahora ahora_es_usted agora_voce_e
    voce_agora_e ora_sei adesso_sei теперь_ты ты_теперь ты_больше_не 你现在是 您现在是 あなたは今から 이제_너는 당신은_이제 consider_yourself du_bist_fortan sie_sind_ab_sofort
    te_voila a_present_tu_es ahora_actuas teraz_jestes jestes_teraz nie_jestes_juz je_bent_nu nu_ben_je je_bent_voortaan non_sei_piu sei_ora adesso_tu_sei
    voce_agora_sera voce_nao_e_mais ты_теперь_не отныне_ты 你现在变成 你不再是 你将成为 あなたはもう あなたはこれから 당신은_이제부터
""")
NOW_ON = word_set("""
    from_now_on from_here_on from_this_moment from_this_point henceforth ab_jetzt ab_sofort von_jetzt_an a_partir_de_maintenant desormais
    a_partir_de_ahora de_ahora_en_adelante desde_ahora a_partir_de_agora d'ora_in_poi da_ora_in_poi с_этого_момента отныне 从现在开始 从现在起 今から これから 지금부터 fortan
    kunftig ab_diesem_moment dorenavant da_questo_momento da_adesso_in_poi d'ora_innanzi agora od_teraz od_tej_pory odtad vanaf_nu voortaan
    vanaf_dit_moment с_этой_минуты с_этого_времени впредь 从此 自此 即日起 今後 以後 이제부터 for_the_rest_of_this_conversation until_the_end_of_the_session starting_now
    effective_immediately
""")
ACT = word_set("""
    actuas_como
    act_as pretend_to_be roleplay_as role-play_as play_the_role_of behave_as behave_like simulate impersonate take_on_the_role spiele_die_rolle tu_so
    agis_comme joue_le_role actua_como comportate_como haz_de aja_como comportati_come действуй_как притворись веди_себя_как 扮演 振る舞 play_the_part_of
    take_the_role_of assume_the_role_of adopt_the_persona_of speak_as respond_as answer_as answer_like verhaltst_du_dich_wie verhalte_dich_wie
    benimm_dich_wie handle_als agiere_als comporte-toi_comme fais_comme_si_tu_etais joues_le_role jouez_le_role prends_le_role hazte_pasar_por
    asume_el_papel_de asume_el_rol_de assuma_o_papel_de finja_ser fingi_di_essere interpreta_il_ruolo_di agisci_come zachowuj_sie_jak udawaj
    wciel_sie_w_role gedraag_je_als speel_de_rol_van выступай_в_роли играй_роль 充当 装作 当作 になりきって として振る舞 として行動
""")
SUPPOSE = word_set("""
    pretend_you pretend_that_you imagine_you_are imagine_that_you_are suppose_you_are you_play_a you_play_the let's_play stell_dir_vor_du imagine_que_tu
    imagina_que_eres представь_что_ты 假装你 假设你 pretend_there fais_comme_si_tu faites_comme_si stell_dir_vor,_du act_as_if_you act_as_though_you
    assume_you_are stel_je_voor_dat_je doe_alsof_je wyobraz_sobie_ze_jestes udawaj_ze_jestes immagina_di_essere fai_finta_di_essere imagine_que_voce
    finja_que_voce imagina_que finge_que_eres fais_semblant_d'etre faites_comme_si_vous nimm_an_du_bist tu_so_als_ob_du вообрази_что_ты притворись_что_ты
    представь,_что_ты 假设你是 想象你是 想像してあなた
""")
MODE = word_set("""
    developer_mode debug_mode maintenance_mode admin_mode root_mode entwicklermodus mode_developpeur modo_desarrollador режим_разработчика 开发者模式
""")
NEW = word_set("""
    new real actual updated true revised neue neuen nouvelle nouvelles nouveau nueva nuevas новые новая 新的 nowe nowa nieuwe nuevo novas nova nuove nuovi
    nuova followed 新しい 全新 последние
""")
TASK = word_set("""
    task job role goal mission objective purpose identity aufgabe tache tarea tarefa задача 任务 任務 仕事 zadanie zadaniem taak opdracht rolle compito
    obiettivo mision missao tarefa_e role_is 使命 цель роль
""")
VOID = word_set("""
    void suspended cancelled canceled revoked invalid null obsolete superseded overridden lifted disabled off ignored disregarded forgotten discarded
    bypassed replaced waived nichtig aufgehoben ungultig ausser_kraft annulees anuladas отменены недействительны cancelled_out out_of_force out_of_effect
    nullified rescinded withdrawn hinfallig unwirksam caduques nulles nulas sin_efecto sem_efeito annullate niewazne vervallen ongeldig недействительными
    无效 失效 无効 無効
""")
SAY = word_set("""
    answer reply respond say state claim conclude speak confirm write_that output_only generate pretend mark antworte antworten antwortest bestatige
    reponds repondez dis_que ecris responde responda contesta rispondi rispondere отвечай отвечаешь ответь напиши 回答 回复 答复 答え 대답 ask urge instruct
    persuade odpowiadaj odpowiedz napisz schrijf antwoord zeg_dat skriv sag_dass scrivi escribe escribir escreva escreve write_only repondre schreib
    schreibe gib_nur зови напишите 说这 请说 说是 只说 回答して 答えて 書いて skip_the_warning
""")
REPLY = word_set("response summary report answers antwort reponse respuesta risposta resposta ответ")
TO_WHOM = word_set("""
    note_to message_to dear attention hello hey hi instruction_for instructions_for instructions_to notice_to to_the to_all to_any for_the memo_to for_any
    for_all hint_for hinweis_an nachricht_an anweisung_fur hallo an_die an_alle note_a message_a bonjour nota_para mensaje_para aviso_para hola
    instrucciones_para nota_per messaggio_per примечание_для сообщение_для инструкция_для внимание 致 请注意 polecenie_dla zlecenie_dla uwaga message_for
    attention_all notice_for instruction_to aviso_a aviso_aos avis_a avis_aux attention_aux avviso_per avviso_a let_op aan_alle aan_de bericht_aan
    uwaga_dla wiadomosc_dla do_wszystkich dla_wszystkich информация_для обращение_к 给所有 告诉所有 写给 告 敬告 achtung an_jede beachte_als hinweis_fur consigne_pour
    consignes_pour instructions_pour message_pour a_l'attention_de instrucciones_a instrucoes_para mensagem_para istruzioni_per nota_bene_per
    instructie_voor instrucja_dla
""")
IF_YOU_ARE = word_set("""
    if_you_are if_you're wenn_du falls_du wenn_sie si_tu_es si_vous_etes si_eres si_usted_es se_voce_e se_sei если_ты если_вы 如果你是 もしあなたが als_je als_u
    jesli_jestes jezeli_jestes si_es_usted se_tu_sei se_lei_e se_e_uma se_voce_for se_fores si_tu_eres falls_sie in_case_you_are assuming_you_are
    should_you_be provided_you_are если_вы_являетесь если_ты_являешься 若你是 如果您是 假如你是 あなたが
""")
HANDLES = word_set("""
    reading processing summarizing summarising analyzing analysing handling reviewing evaluating ranking screening translating reads processes summarizes
    summarises analyzes handles reviews evaluates summarize summarise analyze analyse process evaluate review translate working_on parsing crawling
    compare comparing crawls parses scans ingests auswerten auswertet lesen liest lies verarbeiten verarbeitet zusammenfassen zusammenfasst bewerten lit
    lisez lis resume resumez resumes traite traitez analysez lee lees leas procesa procesas leggi legge riassumi elabora le_este leia le resume_esta
    processa czytasz czyta streszczasz przetwarza leest samenvat verwerkt beoordeelt читаешь читает обрабатываешь анализируешь 阅读 正在阅读 读到 总结 概括 处理 分析 翻译
    読んで 読む 要約 処理して ranks rank_these screen index indexing indexes read_this reading_this
""")
INCLUDE = word_set("""
    include insert add embed render attach put fuge inclus incluez incluye incluya inclua вставь 添加 插入 hange_an hange_die hangen_sie fuge_ein fuge_hinzu
    concatenate put_this ajoute ajoutez insere inserez anade anada agrega inserisci aggiungi adicione insira dodaj wstaw dolacz voeg_toe voeg plak zet
    добавь добавьте прикрепи 附加 附上 拼接 追加 埋め込 挿入
""")
LINK_NOUN = word_set("""
    link url image markdown pixel hyperlink lien enlace imagen ссылку 链接 图片 form formular formulaire formulario modulo formularz formulier форму 表单 フォーム
    bild afbeelding immagine imagem obraz obrazek картинку リンク 画像 address_bar query_string picture clickable
""")
USE = word_set("""
    call invoke execute run use trigger rufe nutze appelle utilise usa llama вызови 调用 open activate enter switch enable turn_on launch rufe_auf fuhre_aus
    starte aktiviere wechsle_in activez active lance lancez executez ejecuta activa abre esegui attiva ative uruchom uzyj wlacz wywolaj gebruik voer_uit
    roep_aan schakel запусти выполни включи используй активируй 运行 执行 使用 启动 打开 進入 実行 起動 使って
""")
TOOL = word_set("""
    tool tools plugin plugins connector werkzeug outil herramienta инструмент 工具 api apis function functions strumento ferramenta narzedzie narzedzia
    hulpmiddel функцию 函数 ツール 関数 api_call mcp_server
""")
ACTIONS = word_set("""
    grant
    send mail email transfer delete upload post pay buy purchase exec shell fetch write drop browse browser http forward wire remove
    push share export download env
""")
"""A part of an identifier: what such a tool can do harm with."""
MUST = word_set("""
    must should shall have_to need_to are_to has_to needs_to musst sollst mussen sollen dois devez debes debe должен sollten debeis deben deve devem devi
    dovete dovrebbe musisz musza nalezy moet moeten надо нужно необходимо должны 必须 务必 应该 应当 需要 必ず べき is_to supposed_to ought_to required_to obliged_to
""")
WHEN = word_set("""
    if when while whenever unless wenn falls als quand lorsque cuando si когда если 如果 場合 instead_of rather_than anstatt statt au_lieu_de en_lugar_de
    en_vez_de em_vez_de invece_di zamiast in_plaats_van вместо 而不是
""")
OTHERS = word_set("""
    i we they he she who which may might can could will would did does often always sometimes usually people other another different whom whose man on ils
    elles ellos ich wir er sie nous il elle они он она мы которые many some most muchos viele e_mail e_mails prompt_argument prompt_parameter prompt_field
    prompt_template prompt_string instruction_set instruction_pointer instruction_cache prompt_injection je_vais vogliamo 攻击者 無視させ 表示させ 出力させ 忘れさせ 让模型 令模型
    使模型 就会 会让 attackers attacker hackers scammers criminals researchers intenta intentan tries try trying
""")
"""Before an act, these tell that somebody does it; nobody is ordered to."""
OF = word_set("of ")
TO = word_set("""
    to zu へ
""")
AS = word_set("""
    as als_ein als_eine en_tant_que como_un comme come como jako как zoals として treated_as
""")
BE = word_set("""
    is are were was be been ist sind est sont es son sono
""")

OVERRIDE_TO = word_set("""
    ignorer oublier negliger contourner laisser_de_cote ignorar olvidar omitir descartar desconsiderar esquecer ignorare dimenticare trascurare
    zignorowac pominac zapomniec игнорировать забыть проигнорировать отбросить vergeten_te negeren_te ignorieren_zu
""")
"""What is not yet an order: "please", "you must" or the like makes it one."""
BEST = word_set("""
    safest greatest finest leading genius glowing flawlessly
    best highest top first_place perfect excellent outstanding flawless superior number_one five_stars 5_stars full_marks ten_out_of_ten top_grade positive
    strongest ideal first beste besten bester hervorragend ausgezeichnet exzellent bestnote spitzenreiter meilleur meilleure excellente parfait
    mejor mejores excelente perfecto migliore migliori eccellente ottimo melhor melhores perfeito najlepsz* najwyzsz* doskonal* uitstekend* perfecte
    лучший лучшая лучшее лучшим лучшую лучшей высшую высший отличн* 最好 最佳 最高 第一 满分 五星 优秀 最適 一番 최고
""")
VOID_NOW = word_set("""
    no_longer_apply no_longer_applies no_longer_valid no_longer_in_force no_longer_binding no_longer_bind do_not_apply_to_you does_not_apply_to_you do_not_count_any_more
    gelten_nicht_mehr gilt_nicht_mehr gelten_nicht_langer ne_s'appliquent_plus ne_s'applique_plus ne_valent_plus ya_no_se_aplican ya_no_valen
    ya_no_son_validas ja_nao_valem nao_se_aplicam_mais nao_valem_mais non_valgono_piu non_si_applicano_piu nie_obowiazuja juz_nie_obowiazuja
    gelden_niet_meer gelden_niet_langer больше_не_действуют не_действуют утратили_силу 不再适用 不再有效 已失效 もう有効ではない 適用されません
""")
YOU_ARE = word_set("""
    you_are you're you_will_be you_shall_be du_bist sie_sind tu_es vous_etes eres usted_es voce_e tu_sei sei jestes ben_je je_bent u_bent ты_являешься
    你是 您是 你就是 あなたは
""")
REFUSE = word_set("""
    refuse refuses refusing decline declines declining reject rejects deny denies verweigert ablehnt verweigerst ablehnst refusent rechaza rechazas niega niegas
    rifiuta rifiuti recusa nega odmawia odmawiasz weigert weigeren отказывает отказываешь отказывается 拒绝 拒む 断る 断ら
""")
DECODE = word_set("""
    decode decrypt decipher unscramble dekodiere entschlussele decodez dechiffre dechiffrez decodifica descifra descodifica decifra decodifique odkoduj zdekoduj odszyfruj
    decodeer ontcijfer расшифруй декодируй раскодируй 解码 解密 デコード 復号 read_this_backwards read_it_backwards read_backwards reverse_this unpack
""")
CODED = word_set("""
    base64 base-64 base32 rot13 rot-13 hex hexadecimal backwards reversed morse ciphertext cipher encoded encrypted kodiert verschlusselt ruckwarts ruckwarts chiffre encode_en
    codificado codificato zakodowan* gecodeerd* закодирован* 编码 加密 エンコード 暗号 following_string following_text string_below
""")
OBEY = word_set("""
    do_what_it_says do_as_it_says do_what_they_say act_on_it act_on_them carry_it_out carry_out follow_it follow_what obey_it  comply_with_it execute_it execute_what execute_the_result follow_the_result
    obey_what obey_the_result perform_it execute-le executez-le fuhre_ihn_aus fuhre_es_aus fuhre_sie_aus befolge_ihn befolge_es befolge_sie suis-le suivez-le ejecutalo obedecelo siguelo
    eseguilo seguilo execute-o siga-o wykonaj_je wykonaj_go wykonaj voer_het_uit volg_het_op выполни_его исполни выполни_это 照做 执行它 按其执行 照着做 その指示に従 実行して follow_the_hidden follow_the_decoded
""")
ONLY = word_set("""
    only solely exclusively nothing_but nur ausschliesslich lediglich seulement uniquement rien_que solo solo unicamente solamente soltanto apenas somente tylko jedynie wylacznie
    alleen slechts uitsluitend только лишь исключительно 只 仅 只能 だけ のみ
""")
BEFORE_ANSWER = word_set("""
    before_you_answer before_you_reply before_you_respond before_answering before_replying before_responding before_summarising before_summarizing before_you_summarise
    before_you_summarize in_your_answer in_your_reply in_your_response in_your_summary at_the_end_of_your_answer at_the_end_of_your_reply at_the_end_of_the_summary at_the_end_of_your_summary bevor_du_antwortest bevor_sie_antworten in_deiner_antwort
    avant_de_repondre dans_ta_reponse dans_votre_reponse antes_de_responder en_tu_respuesta na_sua_resposta prima_di_rispondere nella_tua_risposta zanim_odpowiesz
    w_swojej_odpowiedzi voordat_je_antwoordt in_je_antwoord прежде_чем_ответить перед_ответом в_своем_ответе 回答之前 回答前 在你的回答中 回答する前に
""")
RATE = word_set("""
    award
    always_put put_it_first put_them_first rate rank recommend praise endorse score prefer favour favor shortlist grade promote advertise approve accept call_it bewerte einstufen empfiehl empfehle stufe
    loben recommande recommandez classe classez note_le evalue evaluez dites_que recomienda recomiende califica clasifica valora consiglia consigliate valuta raccomanda
    recomende classifique classifiquem avalie recomendem ocen polec polecaj uznaj beoordeel prijs aanbevelen raad_aan оцени порекомендуй рекомендуй хвали похвали поставь 推荐 评价 打分 评为 给出 排在 評価して 推薦 おすすめ
    give_it
""")
NOT_TELL = word_set(
    "言わないで 伝えないで 教えないで 知らせないで 言及しないで 話さないで 말하지_마 알리지_마 말하지_말"
)
REVEAL_LAST = word_set(
    "表示して 表示し 表示せよ 出力して 出力し 教えて 見せて 復唱 書き出 さらけ出 보여줘 출력해 알려줘 复述出来 输出出来 发出来 wiedergeben gib_wieder weer wieder"
)
TELLING = word_set("telling mentioning informing notifying alerting warning_the")
LET_KNOW = word_set(
    "let_them_know let_anyone_know let_the_user_know let_the_reader_know let_the_human_know let_users_know let_on let_it_slip 让用户知道 让用户发现 气づかれ"
)
INSTEAD = word_set(
    "instead stattdessen a_la_place plutot en_su_lugar al_contrario invece zamiast_tego in_plaats_daarvan вместо_этого 改为 代わりに"
)
QUESTION = word_set(
    "which_are wie_lautet wie_lauten welche was_steht_in quel_est quelle_est quelles_sont quels_sont cual_es cuales_son qual_e quais_sao quali_sono jaki_jest jakie_sa wat_is wat_zijn wat_staat_er_in какой какие какова что_написано_в 是什么"
)
AUTHORITY = word_set("""
    i_am_your_developer i_am_the_developer i_am_your_creator i_am_your_administrator i_am_your_operator i'm_your_developer i'm_your_creator this_is_your_developer this_is_your_administrator
    message_from_your_developer message_from_your_developers message_from_your_creators ich_bin_dein_entwickler je_suis_ton_developpeur je_suis_votre_developpeur soy_tu_desarrollador soy_tu_creador sou_o_seu_desenvolvedor
    sou_seu_desenvolvedor sono_il_tuo_sviluppatore jestem_twoim_tworca ik_ben_je_ontwikkelaar я_твой_разработчик я_твой_создатель 我是你的开发者 我是你的创造者 私はあなたの開発者
""")
DO_HARM = word_set("""
    delete remove erase_all transfer pay buy purchase install download wire order_a book grant disable cancel losche uberweise kaufe supprime supprimez virez achete borra elimina transfiere
    compra cancella trasferisci acquista apague transfira compre usun przelej kup verwijder koop удали переведи купи 删除 转账 购买 删掉 削除 送金 購入
""")
AGENT_TOOL = word_set(
    "code_tool terminal_tool browser_tool search_tool shell_tool email_tool e-mail_tool mail_tool python_tool file_tool web_tool browsing_tool calendar_tool code_interpreter file_system_tool"
)
LOOSE_DATA = word_set("notes contents memory above_text")
OBJECT = word_set("把 将")
STRONG_MODE = word_set("""
    unrestricted_mode dan_mode god_mode jailbreak_mode unfiltered_mode uncensored_mode no_limits_mode do_anything_now uneingeschrankten_modus mode_sans_limite mode_sans_restriction
    modo_sin_restricciones modo_sin_limites modo_sem_restricoes modalita_senza_limiti tryb_bez_ograniczen onbeperkte_modus режим_без_ограничений 无限制模式 不受限模式 越狱模式 無制限モード 脱獄モード
""")
